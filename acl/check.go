package acl

import (
	"bytes"
	"slices"

	"kahuna/glob"
)

// Request is one command as it is checked. Keys and Channels are borrowed.
type Request struct {
	Command  int    // its number in the catalog
	Always   bool   // the command may be given by anybody: AUTH, HELLO, QUIT, RESET
	First    []byte // its first argument, nil for none
	Keys     []Key
	Channels []Channel
}

// Key is a name that a command is about, or a part of the names.
type Key struct {
	Name []byte
	Need Permission // 0: any right to it will do, as for EXISTS
	Span bool       // all keys that begin with Name
	At   int        // its place among the arguments, for the answer
}

// Channel is a channel that a command is about.
type Channel struct {
	Name    []byte
	Pattern bool // of PSUBSCRIBE: it must be allowed word for word
	At      int
}

// Denied tells what a request may not do. The later ones came further.
type Denied uint8

const (
	Nothing Denied = iota // it is allowed
	ByCommand
	ByKey
	ByChannel
)

// Check tells whether the user may do what is asked, and if not, why, and which argument is to blame. One selector must allow
// all of it; of several that don't, the one that came furthest gives the reason.
func (u *User) Check(r *Request) (why Denied, at int) {
	if u.Unrestricted() {
		return Nothing, 0
	}
	if why, at = u.root.check(r); why == Nothing {
		return Nothing, 0
	}
	for i := range u.more {
		w, a := u.more[i].check(r)
		if w == Nothing {
			return Nothing, 0
		}
		if w > why {
			why, at = w, a
		}
	}
	return why, at
}

func (s *selector) check(r *Request) (Denied, int) {
	if !r.Always && !s.allows(r.Command, r.First) {
		return ByCommand, 0
	}
	for i := range r.Keys {
		if k := &r.Keys[i]; !s.allowsKey(k) {
			return ByKey, k.At
		}
	}
	for i := range r.Channels {
		if c := &r.Channels[i]; !s.allowsChannel(c) {
			return ByChannel, c.At
		}
	}
	return Nothing, 0
}

func (s *selector) allows(command int, first []byte) bool {
	if s.allCommands || s.commands.has(command) {
		return true
	}
	only, some := s.firstArgs[command]
	return some && slices.Contains(only, lower(string(first)))
}

func (s *selector) allowsKey(k *Key) bool {
	if s.allKeys {
		return true
	}
	for i := range s.keys {
		p := &s.keys[i]
		if p.may&k.Need == k.Need && (k.Span && covers(p.glob, k.Name) || !k.Span && glob.Match(p.glob, k.Name)) {
			return true
		}
	}
	return false
}

// covers tells whether a pattern matches every name that begins with prefix. It says no when in doubt: only patterns that are
// plain text and then stars are looked into.
func covers(pattern, prefix []byte) bool {
	text := bytes.TrimRight(pattern, "*")
	return len(text) < len(pattern) && !bytes.ContainsAny(text, `*?[\`) && bytes.HasPrefix(prefix, text)
}

func (s *selector) allowsChannel(c *Channel) bool {
	if s.allChannels {
		return true
	}
	for _, pattern := range s.channels {
		if c.Pattern && bytes.Equal(pattern, c.Name) || !c.Pattern && glob.Match(pattern, c.Name) {
			return true
		}
	}
	return false
}
