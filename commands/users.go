package commands

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"kahuna/acl"
	"kahuna/cluster"
)

// Documents keep what the whole cluster agrees on. *cluster.Documents are those of a node.
type Documents interface {
	Get(ctx context.Context, key string) (doc cluster.Document, found bool, err error)
	Put(ctx context.Context, key string, value []byte, ifVersion uint64) (version uint64, err error)
	Delete(ctx context.Context, key string, ifVersion uint64) error
	Local(prefix string) ([]cluster.Document, error)
	Changed() <-chan struct{}
}

const (
	userPrefix   = "acl/" // of the documents of users; the name follows. See UserOptions.Member for its place in the order
	userFormat   = 1      // the first byte of such a document; then when the user was made, then its rules as text
	usersMax     = 10_000
	userNameMax  = 512 // bytes
	userPatience = 2 * time.Second
)

var errUserDocument = errors.New("the document of a user is damaged, or of a newer version")

// UserOptions are about who may do what. The zero value is one default user who may do everything.
type UserOptions struct {
	Documents Documents    // keep the users; nil: nobody can be made or changed
	Secret    func([]byte) // fills a slice with what nobody can guess; nil: Options.Rand does
	Password  string       // of the default user while no document says otherwise; empty: none is asked for
	Protected bool         // protected mode, see Refusal
	// Member tells whether this node has the cluster's state, so that it has the users too: their documents sort before the state's,
	// and are there first when a node is filled. Until then nobody is served, as nobody's rights are known. nil: always.
	Member func() bool
}

// openUsers makes the table of users with the default one alone.
func (h *Handler) openUsers(o *UserOptions) {
	h.documents, h.secretly, h.catalog = o.Documents, o.Secret, h.table.catalog()
	h.fallback = acl.Everybody(h.catalog, acl.Default)
	if o.Password != "" {
		h.fallback, _ = h.fallback.Apply([]string{acl.HashPassword(o.Password)}) // never refused: it is a hash
	}
	h.users = acl.NewUsers(h.fallback)
	h.protected.Store(o.Protected)
	h.member = o.Member
}

// secret is so many hexadecimal digits that nobody can guess.
func (h *Handler) secret(digits int) string {
	b := make([]byte, (digits+1)/2)
	if h.secretly != nil {
		h.secretly(b)
	} else {
		for i := range b {
			b[i] = byte(h.rand())
		}
	}
	return hex.EncodeToString(b)
}

// parseUser reads the document of a user.
func parseUser(d cluster.Document) (acl.Document, error) {
	u := acl.Document{Name: d.Key[len(userPrefix):], Version: d.Version}
	if len(d.Value) < 9 || d.Value[0] != userFormat {
		return u, fmt.Errorf("user %q: %w", u.Name, errUserDocument)
	}
	u.Born, u.Rules = binary.BigEndian.Uint64(d.Value[1:]), string(d.Value[9:])
	return u, nil
}

func appendUser(born uint64, rules string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{userFormat}, born), rules...)
}

// LoadUsers makes the users those that this node knows of, and closes the connections of users who are gone. An error is about
// some of them, or about all; those keep the rights that they had. Call it before the first session, and then FollowUsers.
func (h *Handler) LoadUsers() error {
	if h.documents == nil {
		return nil
	}
	found, err := h.documents.Local(userPrefix)
	if err != nil {
		return err
	}
	list := make([]acl.Document, len(found))
	var errs []error
	for i := range found {
		if list[i], err = parseUser(found[i]); err != nil {
			errs = append(errs, err)
		}
	}
	gone, more := h.users.Replace(list)
	if len(gone) > 0 {
		h.dismiss()
	}
	return errors.Join(append(errs, more...)...)
}

// FollowUsers loads the users whenever they change, until ctx ends. It tells of users that can't be read.
func (h *Handler) FollowUsers(ctx context.Context, tell func(error)) {
	if h.documents == nil {
		return
	}
	for {
		changed := h.documents.Changed()
		if err := h.LoadUsers(); err != nil && ctx.Err() == nil {
			tell(err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// dismiss closes the connections of users who are gone.
func (h *Handler) dismiss() {
	for _, s := range h.clients() {
		if !s.dismissing.Load() && s.entry.Load().User() == nil {
			s.cut()
		}
	}
}

// errNoStore is what a server without the cluster's documents answers; only tests have one.
var errNoStore = userError("ERR users can't be changed: this server keeps none")

// changeUser makes a user what fn makes of it, or a new one if there is none. It returns when the change holds on this node; the
// others follow as soon as they hear of it.
func (h *Handler) changeUser(ctx context.Context, name string, fn func(*acl.User) (*acl.User, error)) error {
	if h.documents == nil {
		return errNoStore
	}
	for {
		doc, found, err := h.documents.Get(ctx, userPrefix+name)
		if err != nil {
			return err
		}
		user, born, err := h.stored(name, doc, found)
		if err != nil {
			return err
		}
		if user, err = fn(user); err != nil {
			return userError("ERR " + oneLine(err.Error()))
		}
		version, err := h.documents.Put(ctx, userPrefix+name, appendUser(born, user.Rules()), doc.Version)
		switch {
		case errors.Is(err, cluster.ErrVersion):
			continue
		case err != nil:
			return err
		}
		h.awaitUser(ctx, name, func(present uint64) bool { return present >= version })
		return nil
	}
}

// passwordSetting is the name under which Redis's CONFIG has the default user's password.
const passwordSetting = "requirepass"

// setPassword makes the default user need this password alone, or none if it is empty.
func (h *Handler) setPassword(ctx context.Context, password string) error {
	rules := []string{"resetpass", "nopass"}
	if password != "" {
		rules[1] = acl.HashPassword(password)
	}
	return h.changeUser(ctx, acl.Default, func(u *acl.User) (*acl.User, error) { return u.Apply(rules) })
}

// shownPassword tells only whether there is one.
func (h *Handler) shownPassword() string {
	if h.users.Default().User().NoPassword() {
		return ""
	}
	return "(hidden)"
}

// stored is a user as its document has it, or one that is about to be made.
func (h *Handler) stored(name string, doc cluster.Document, found bool) (user *acl.User, born uint64, err error) {
	switch {
	case found:
		doc.Key = userPrefix + name
		d, err := parseUser(doc)
		if err != nil {
			return nil, 0, userError("ERR " + oneLine(err.Error()))
		}
		user, err = acl.Parse(h.catalog, name, d.Rules)
		return user, d.Born, err
	case name == acl.Default:
		return h.fallback, h.rand(), nil
	case len(h.users.Names()) >= usersMax:
		return nil, 0, userError(fmt.Sprintf("ERR too many users (limit %d)", usersMax))
	}
	return acl.NewUser(h.catalog, name), h.rand(), nil
}

// removeUser deletes a user; false: there was none.
func (h *Handler) removeUser(ctx context.Context, name string) (bool, error) {
	if h.documents == nil {
		return false, errNoStore
	}
	for {
		doc, found, err := h.documents.Get(ctx, userPrefix+name)
		if err != nil || !found {
			return false, err
		}
		err = h.documents.Delete(ctx, userPrefix+name, doc.Version)
		switch {
		case errors.Is(err, cluster.ErrVersion):
			continue
		case err != nil:
			return false, err
		}
		h.awaitUser(ctx, name, func(present uint64) bool { return present != doc.Version })
		return true, nil
	}
}

// awaitUser waits until this node has heard of a change of a user, which is in the log by now, but not for ever: a node that is
// cut off from the others hears later.
func (h *Handler) awaitUser(ctx context.Context, name string, heard func(version uint64) bool) {
	patience := h.after(userPatience)
	for {
		version, changed := h.users.Version(name)
		if heard(version) {
			return
		}
		select {
		case <-changed:
		case <-patience:
			return
		case <-ctx.Done():
			return
		}
	}
}
