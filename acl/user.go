package acl

import (
	"bytes"
	"maps"
	"slices"
)

// A User is a name with passwords and rights. It is never changed; any goroutine may ask it.
type User struct {
	name      string
	enabled   bool
	nopass    bool // any password does
	sanitize  sanitize
	passwords []digest // in the order in which they were added
	root      selector
	more      []selector // each of which allows for itself alone
	catalog   *Catalog
	rules     string // as Rules shows them
}

// sanitize keeps the flag that Redis has about RESTORE, so that a user is shown as it was made. Nothing depends on it here.
type sanitize uint8

const (
	sanitizeUnsaid sanitize = iota
	sanitizeYes
	sanitizeSkip
)

// selector is rights: commands that it allows on keys and channels that it allows.
type selector struct {
	allCommands bool // and there is nothing else to look at
	allKeys     bool
	allChannels bool
	fromAll     bool     // the rules take away from all commands, instead of adding to none
	rules       []string // about commands, in lower case with their sign, in the order given
	commands    bits
	firstArgs   map[int][]string // commands of which only some first arguments are allowed
	keys        []keyPattern
	channels    [][]byte
}

// keyPattern is a glob pattern with what may be done with the keys that match.
type keyPattern struct {
	glob []byte
	may  Permission
}

// Permission is what is, or may be, done with a key's value.
type Permission uint8

const (
	Read  Permission = 1 << iota // the value, or a part of it, goes to the client or somewhere else
	Write                        // it is made, changed or deleted
)

// NewUser is a user of whom nothing is said yet: off, without passwords and rights.
func NewUser(c *Catalog, name string) *User {
	u := &User{name: name, root: newSelector(c), catalog: c}
	u.rules = u.describe()
	return u
}

// Everybody is the user who may do all without a password: who the default user is when nothing is said about it.
func Everybody(c *Catalog, name string) *User {
	u, err := NewUser(c, name).Apply([]string{"on", "nopass", "~*", "&*", "+@all"})
	if err != nil {
		panic(err) // these rules are always good
	}
	return u
}

func newSelector(c *Catalog) selector { return selector{commands: c.newBits()} }

// Name is the user's name.
func (u *User) Name() string { return u.name }

// Enabled tells whether one can log in as this user.
func (u *User) Enabled() bool { return u.enabled }

// NoPassword tells whether any password does.
func (u *User) NoPassword() bool { return u.nopass }

// Open tells whether a connection is this user without saying anything, if it is the default user.
func (u *User) Open() bool { return u.enabled && u.nopass }

// Unrestricted tells whether the user may do everything, so that there is nothing to check.
func (u *User) Unrestricted() bool {
	return u.root.allCommands && u.root.allKeys && u.root.allChannels
}

// clone is a copy that Apply may change.
func (u *User) clone() *User {
	c := *u
	c.passwords = slices.Clone(u.passwords)
	c.root = u.root.clone()
	c.more = make([]selector, len(u.more))
	for i := range u.more {
		c.more[i] = u.more[i].clone()
	}
	return &c
}

func (s *selector) clone() selector {
	c := *s
	c.rules = slices.Clone(s.rules)
	c.commands = slices.Clone(s.commands)
	c.firstArgs = maps.Clone(s.firstArgs)
	for id, args := range c.firstArgs {
		c.firstArgs[id] = slices.Clone(args)
	}
	c.keys = slices.Clone(s.keys)
	c.channels = slices.Clone(s.channels)
	return c
}

func (s *selector) findKey(glob []byte) *keyPattern {
	for i := range s.keys {
		if bytes.Equal(s.keys[i].glob, glob) {
			return &s.keys[i]
		}
	}
	return nil
}

func (s *selector) hasChannel(glob []byte) bool {
	return slices.ContainsFunc(s.channels, func(have []byte) bool { return bytes.Equal(have, glob) })
}
