package acl

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Default is the name of the user that a connection is before it says anything.
const Default = "default"

// Users are the present users of the cluster as this node knows them. There is always a default user. It is safe for
// concurrent use; asking takes no lock.
type Users struct {
	catalog *Catalog
	byName  atomic.Pointer[map[string]*Entry]
	def     *Entry

	mu       sync.Mutex // one Replace at a time; guards what follows
	fallback *User      // the default user while no document says who that is
	changed  chan struct{}
}

// Entry is the place of one user. It goes on being that user's when the rights change, and is empty for ever once the user was
// deleted, even if another one gets the name.
type Entry struct {
	name    string
	born    uint64
	version uint64
	user    atomic.Pointer[User]
}

// User is the user as it is now; nil when it was deleted.
func (e *Entry) User() *User { return e.user.Load() }

// Name is the user's name, also after it was deleted.
func (e *Entry) Name() string { return e.name }

// Document is what is kept of one user. Its version is another with every change. Born is another for every user that was made
// under the same name: so one that was deleted and made again is not taken for the same, even by who missed the deletion.
type Document struct {
	Name    string
	Rules   string
	Born    uint64
	Version uint64 // above 0
}

// NewUsers makes a table with the default user alone.
func NewUsers(fallback *User) *Users {
	u := &Users{catalog: fallback.catalog, def: &Entry{name: Default}, fallback: fallback, changed: make(chan struct{})}
	u.def.user.Store(fallback)
	u.byName.Store(&map[string]*Entry{Default: u.def})
	return u
}

// Default is the place of the default user, which is never empty.
func (u *Users) Default() *Entry { return u.def }

// Get is the place of a user, nil when there is none of that name.
func (u *Users) Get(name string) *Entry { return (*u.byName.Load())[name] }

// Names are all names in order.
func (u *Users) Names() []string { return slices.Sorted(maps.Keys(*u.byName.Load())) }

// Version is that of a user's document, 0 when there is none. Wait for changed, which is closed by the next Replace, to ask
// again.
func (u *Users) Version(name string) (version uint64, changed <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if e := u.Get(name); e != nil {
		version = e.version
	}
	return version, u.changed
}

// Replace makes the users those of the documents. It returns the places that are empty now, and the errors of documents that
// can't be read; of such a user the rights that it had stay, and one that is new gets none.
func (u *Users) Replace(documents []Document) (gone []*Entry, errs []error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	old, next := *u.byName.Load(), make(map[string]*Entry, len(documents)+1)
	next[Default] = u.def
	said := false
	for i := range documents {
		d := &documents[i]
		said = said || d.Name == Default
		e, err := u.place(old[d.Name], d)
		if err != nil {
			errs = append(errs, err)
		}
		next[d.Name] = e
	}
	if !said && u.def.version != 0 {
		u.def.version = 0
		u.def.user.Store(u.fallback)
	}
	u.byName.Store(&next)
	for name, e := range old {
		if next[name] != e {
			e.user.Store(nil)
			gone = append(gone, e)
		}
	}
	close(u.changed)
	u.changed = make(chan struct{})
	return gone, errs
}

// place puts a document's user in its place.
func (u *Users) place(e *Entry, d *Document) (*Entry, error) {
	if e == nil || e.born != d.Born && e != u.def {
		e = &Entry{name: d.Name, born: d.Born}
		e.user.Store(NewUser(u.catalog, d.Name))
	}
	if e.version == d.Version {
		return e, nil
	}
	user, err := Parse(u.catalog, d.Name, d.Rules)
	if err != nil {
		return e, err
	}
	e.version = d.Version
	e.user.Store(user)
	return e, nil
}
