package commands

import "kahuna/acl"

// The rights of a session. Who it is stands in s.entry, its user's place among the cluster's users, so that a change of the
// user's rights holds from the next command on. Only s.known tells that it said a password, if one is asked for.

// errNoAuth and the texts of denials are Redis's.
const (
	errNoAuth      = "NOAUTH Authentication required."
	errNoAuthHello = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
)

// become makes the session a user's. known tells that the client may be that user.
func (s *Session) become(e *acl.Entry, known bool) {
	s.entry.Store(e)
	s.known = known
}

// becomeDefault is how every session begins, and what RESET does.
func (s *Session) becomeDefault() {
	e := s.h.users.Default()
	s.become(e, e.User().Open())
}

// authenticated tells whether the session may do what its user may do.
func (s *Session) authenticated() bool {
	return s.known || s.h.users.Default().User().Open()
}

// Unauthenticated tells whether the client still has to say who it is. Only the connection's goroutine may call it.
func (s *Session) Unauthenticated() bool { return !s.authenticated() }

// userName is the name of the user. Any goroutine may call it.
func (s *Session) userName() string { return s.entry.Load().Name() }

// admit tells why a command line may not be executed; empty: it may.
func (s *Session) admit(row *Command, args [][]byte) string {
	user := s.entry.Load().User()
	if s.known && user != nil && user.Unrestricted() {
		return ""
	}
	return s.judge(user, row, args)
}

func (s *Session) judge(user *acl.User, row *Command, args [][]byte) string {
	switch {
	case user == nil: // it was deleted a moment ago
		s.closing = true
		return errNoAuth
	case !row.access.always && !s.authenticated():
		return errNoAuth
	}
	why, at := check(user, row, args)
	if why == acl.Nothing {
		return ""
	}
	context := "toplevel"
	if s.multi != nil {
		context = "multi"
	}
	s.noteDenial(why, context, row, args[at])
	return "NOPERM " + deniedText(user, row, why, args[at], false)
}

// check asks the user for a command line.
func check(user *acl.User, row *Command, args [][]byte) (acl.Denied, int) {
	var room [8]acl.Key
	r := row.asked(args, room[:])
	return user.Check(&r)
}

// Allowed tells whether the session's user may execute a command line in a script. The error is the script's to raise.
func (s *Session) Allowed(row *Command, args [][]byte) error {
	user := s.entry.Load().User()
	if user == nil {
		return userError(errNoAuth)
	}
	if user.Unrestricted() {
		return nil
	}
	why, at := check(user, row, args)
	if why == acl.Nothing {
		return nil
	}
	s.noteDenial(why, "lua", row, args[at])
	return userError("ERR ACL failure in script: " + deniedText(user, row, why, args[at], false))
}

// deniedText says what a user may not do. Names are told only where an administrator asks.
func deniedText(user *acl.User, row *Command, why acl.Denied, arg []byte, names bool) string {
	who := "User " + oneLine(user.Name()) + " has no permissions to "
	switch {
	case why == acl.ByCommand:
		return who + "run the '" + row.fullName() + "' command"
	case why == acl.ByKey && names:
		return who + "access the '" + oneLine(string(arg)) + "' key"
	case why == acl.ByChannel && names:
		return who + "access the '" + oneLine(string(arg)) + "' channel"
	case why == acl.ByKey:
		return "No permissions to access a key"
	}
	return "No permissions to access a channel"
}

// queued is a command line in MULTI, kept to be judged again at EXEC.
type queued struct {
	row  *Command
	args [][]byte
}

// recheck judges a queued command again, if the user's rights are not those of when it was queued, and gives what is to be
// executed in its place.
func (s *Session) recheck(q *queue, i int) request {
	user := s.entry.Load().User()
	if user == q.user && user != nil {
		return q.requests[i]
	}
	line := &q.lines[i]
	if user == nil {
		return request{err: errNoAuth}
	}
	why, at := check(user, line.row, line.args)
	if why == acl.Nothing {
		return q.requests[i]
	}
	s.noteDenial(why, "multi", line.row, line.args[at])
	return request{err: "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
		"This command is no longer allowed for the following reason: " + changedReasons[why]}
}

var changedReasons = [...]string{
	acl.ByCommand: "no permission to execute the command or subcommand",
	acl.ByKey:     "no permission to touch the specified keys",
	acl.ByChannel: "no permission to access one of the channels used as arguments to the command",
}

// mayHear tells whether the session's user may listen to a channel, or to a pattern. Any goroutine may call it.
func (s *Session) mayHear(name []byte, pattern bool) bool {
	user := s.entry.Load().User()
	if user == nil || user.Unrestricted() {
		return user != nil
	}
	why, _ := user.Check(&acl.Request{Always: true, Channels: []acl.Channel{{Name: name, Pattern: pattern}}})
	return why == acl.Nothing
}
