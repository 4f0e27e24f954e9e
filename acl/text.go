package acl

import (
	"fmt"
	"strings"
)

// Parse makes a user of its rules as text, in the form of Rules. Rules about commands that this version does not know are
// passed over: another version may have written them.
func Parse(c *Catalog, name, rules string) (*User, error) {
	u, err := NewUser(c, name).apply(fields(rules), true)
	if err != nil {
		return nil, fmt.Errorf("acl: the rules of user %q are damaged: %w", name, err)
	}
	return u, nil
}

// Rules are the user's rules as text: the line of ACL LIST behind the name. Users with the same rights may differ in it.
func (u *User) Rules() string { return u.rules }

func (u *User) describe() string {
	words := u.Flags()
	for _, d := range u.passwords {
		words = append(words, "#"+d.String())
	}
	words = append(words, u.root.describe())
	for i := range u.more {
		words = append(words, "("+u.more[i].describe()+")")
	}
	return strings.Join(words, " ")
}

// Flags are what is said about the user beside passwords and rights.
func (u *User) Flags() []string {
	flags := []string{"off"}
	if u.enabled {
		flags[0] = "on"
	}
	if u.nopass {
		flags = append(flags, "nopass")
	}
	switch u.sanitize {
	case sanitizeYes:
		flags = append(flags, "sanitize-payload")
	case sanitizeSkip:
		flags = append(flags, "skip-sanitize-payload")
	}
	return flags
}

// Passwords are the hashes of the passwords, 64 hexadecimal digits each.
func (u *User) Passwords() []string {
	list := make([]string, len(u.passwords))
	for i, d := range u.passwords {
		list[i] = d.String()
	}
	return list
}

// Rights are one selector as ACL GETUSER shows it.
type Rights struct{ Commands, Keys, Channels string }

// Rights are those of the user itself and those of its further selectors.
func (u *User) Rights() (own Rights, more []Rights) {
	for i := range u.more {
		more = append(more, u.more[i].rights())
	}
	return u.root.rights(), more
}

func (s *selector) rights() Rights {
	return Rights{s.describeCommands(), s.describeKeys(), s.describeChannels()}
}

func (s *selector) describe() string {
	channels := s.describeChannels()
	if !s.allChannels {
		channels = strings.TrimSuffix("resetchannels "+channels, " ")
	}
	return strings.TrimPrefix(strings.Join([]string{s.describeKeys(), channels, s.describeCommands()}, " "), " ")
}

func (s *selector) describeCommands() string {
	base := "-@all"
	if s.fromAll {
		base = "+@all"
	}
	return strings.Join(append([]string{base}, s.rules...), " ")
}

func (s *selector) describeKeys() string {
	if s.allKeys {
		return "~*"
	}
	words := make([]string, len(s.keys))
	for i, k := range s.keys {
		words[i] = [...]string{Read: "%R~", Write: "%W~", Read | Write: "~"}[k.may] + string(k.glob)
	}
	return strings.Join(words, " ")
}

func (s *selector) describeChannels() string {
	if s.allChannels {
		return "&*"
	}
	words := make([]string, len(s.channels))
	for i, glob := range s.channels {
		words[i] = "&" + string(glob)
	}
	return strings.Join(words, " ")
}
