package commands

import (
	"context"
	"math"
	"strings"

	"kahuna/acl"
	"kahuna/resp"
)

func aclRow() Command {
	const admin, any = "admin noscript loading stale", "noscript loading stale"
	return Command{Name: "acl", Arity: -2, Since: "6.0.0", Group: "server", Complexity: "Depends on subcommand.", Summary: "Who may do what, on all nodes.",
		Sub: []Command{
			{Name: "setuser", Arity: -3, Flags: admin, Syntax: "username [rule [rule ...]]", Since: "6.0.0", Complexity: "O(N) where N is the number of rules", Summary: "Makes or changes a user, on all nodes at once.", parse: parseACLSetUser},
			{Name: "getuser", Arity: 3, Flags: admin, Syntax: "username", Since: "6.0.0", Complexity: "O(N) where N is the number of rules", Summary: "A user's rules: a map; nil if there is no such user.", parse: parseACLGetUser},
			{Name: "deluser", Arity: -3, Flags: admin, Syntax: "username [username ...]", Since: "6.0.0", Complexity: "O(N) where N is the number of connections", Summary: "Deletes users and closes their connections, and gives how many there were.", parse: parseACLDelUser},
			{Name: "list", Arity: 2, Flags: admin, Since: "6.0.0", Complexity: "O(N) where N is the number of users", Summary: "All users with their rules, a line each.", parse: parseACLList},
			{Name: "users", Arity: 2, Flags: admin, Since: "6.0.0", Complexity: "O(N) where N is the number of users", Summary: "The names of all users.", parse: parseACLUsers},
			{Name: "whoami", Arity: 2, Flags: any, Since: "6.0.0", Complexity: "O(1)", Summary: "The user of this connection.", parse: parseACLWhoAmI},
			{Name: "cat", Arity: -2, Flags: any, Syntax: "[category]", Since: "6.0.0", Complexity: "O(N) where N is the number of commands", Summary: "The categories of commands, or the commands of one.", parse: parseACLCat},
			{Name: "genpass", Arity: -2, Flags: any, Syntax: "[bits]", Since: "6.0.0", Complexity: "O(1)", Summary: "A random password: 256 bits in hexadecimal digits.", parse: parseACLGenPass},
			{Name: "dryrun", Arity: -4, Flags: admin, Syntax: "username command [arg [arg ...]]", Since: "7.0.0", Complexity: "O(1)", Summary: "OK if a user may execute a command, else why not.", parse: parseACLDryRun},
			{Name: "log", Arity: -2, Flags: admin, Syntax: "[count | RESET]", Since: "6.0.0", Complexity: "O(N) where N is the number of entries", Summary: "What was refused on this node, newest first.", parse: parseACLLog},
			{Name: "load", Arity: 2, Flags: admin, Since: "6.0.0", Complexity: "O(1)", Summary: "There is nothing to load: the cluster keeps the users.", parse: parseACLFile},
			{Name: "save", Arity: 2, Flags: admin, Since: "6.0.0", Complexity: "O(1)", Summary: "There is nothing to save: the cluster keeps the users.", parse: parseACLFile},
			{Name: "help", Arity: 2, Flags: "loading stale", Since: "6.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("acl")},
		},
	}
}

func parseACLSetUser(p *parser) request {
	name := string(p.next())
	switch {
	case !acl.ValidName(name):
		p.fail("ERR Usernames can't contain spaces or null characters")
	case len(name) > userNameMax:
		p.fail("ERR " + tooLarge("name", userNameMax))
	}
	rules := make([]string, 0, len(p.args))
	for p.more() {
		rules = append(rules, string(p.next()))
	}
	return request{run: func(ctx context.Context, c *call) error {
		err := c.s.h.changeUser(ctx, name, func(u *acl.User) (*acl.User, error) { return u.Apply(rules) })
		if err == nil {
			c.w.SimpleString("OK")
		}
		return err
	}}
}

func parseACLDelUser(p *parser) request {
	names := p.words()
	for _, name := range names {
		if string(name) == acl.Default {
			p.fail("ERR The 'default' user cannot be removed")
		}
	}
	return request{run: func(ctx context.Context, c *call) error {
		c.s.dismissing.Store(true) // if it is its own user, the reply goes first
		defer c.s.dismissing.Store(false)
		n := 0
		for _, name := range names {
			there, err := c.s.h.removeUser(ctx, string(name))
			if err != nil {
				return err
			}
			if there {
				n++
			}
		}
		c.s.closing = c.s.closing || c.s.entry.Load().User() == nil
		c.w.Int(int64(n))
		return nil
	}}
}

func parseACLGetUser(p *parser) request {
	name := string(p.next())
	return request{local: func(c *call) {
		if e := c.s.h.users.Get(name); e != nil {
			if u := e.User(); u != nil {
				writeUser(c.w, u)
				return
			}
		}
		c.w.Null()
	}}
}

func writeUser(w *resp.Writer, u *acl.User) {
	own, more := u.Rights()
	w.Map(6)
	w.BulkString("flags")
	w.Set(len(u.Flags()))
	for _, f := range u.Flags() {
		w.BulkString(f)
	}
	w.BulkString("passwords")
	writeStrings(w, u.Passwords())
	writeRights(w, own)
	w.BulkString("selectors")
	w.Array(len(more))
	for _, r := range more {
		w.Map(3)
		writeRights(w, r)
	}
}

func writeRights(w *resp.Writer, r acl.Rights) {
	for _, f := range [][2]string{{"commands", r.Commands}, {"keys", r.Keys}, {"channels", r.Channels}} {
		w.BulkString(f[0])
		w.BulkString(f[1])
	}
}

func writeStrings(w *resp.Writer, list []string) {
	w.Array(len(list))
	for _, text := range list {
		w.BulkString(text)
	}
}

func parseACLList(*parser) request {
	return request{local: func(c *call) {
		var lines []string
		for _, name := range c.s.h.users.Names() {
			if e := c.s.h.users.Get(name); e != nil {
				if u := e.User(); u != nil {
					lines = append(lines, "user "+name+" "+u.Rules())
				}
			}
		}
		writeStrings(c.w, lines)
	}}
}

func parseACLUsers(*parser) request {
	return request{local: func(c *call) { writeStrings(c.w, c.s.h.users.Names()) }}
}

func parseACLWhoAmI(*parser) request {
	return request{local: func(c *call) { c.w.BulkString(c.s.userName()) }}
}

func parseACLCat(p *parser) request {
	if len(p.args) > 1 {
		p.fail(unknownACL("CAT"))
	}
	if !p.more() {
		return request{local: func(c *call) { writeStrings(c.w, c.s.h.catalog.Categories()) }}
	}
	category := string(p.next())
	if !p.h.catalog.HasCategory(category) {
		p.fail("ERR Unknown category '" + shown([]byte(category), 128) + "'")
	}
	return request{local: func(c *call) { writeStrings(c.w, c.s.h.catalog.InCategory(category)) }}
}

// unknownACL is Redis's error for a subcommand of ACL with the wrong number of arguments that its arity lets through.
func unknownACL(sub string) string {
	return "ERR unknown subcommand or wrong number of arguments for '" + sub + "'. Try ACL HELP."
}

const genPassBitsMax = 4096

func parseACLGenPass(p *parser) request {
	bits := int64(256)
	if len(p.args) > 1 {
		p.fail(unknownACL("GENPASS"))
	}
	if p.more() {
		if bits = p.int(); p.err == "" && (bits <= 0 || bits > genPassBitsMax) {
			p.fail("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
		}
	}
	return request{local: func(c *call) {
		digits := (bits + 3) / 4
		c.w.BulkString(c.s.h.secret(int(digits))[:digits])
	}}
}

func parseACLDryRun(p *parser) request {
	name, line := string(p.next()), p.words()
	e := p.h.users.Get(name)
	if e == nil {
		p.fail("ERR User '" + shown([]byte(name), 128) + "' not found")
		return request{}
	}
	row, _, err := p.h.table.resolve(line)
	if row == nil {
		if !strings.HasPrefix(err, "ERR wrong number") {
			err = "ERR Command '" + shown(line[0], 128) + "' not found"
		}
		p.fail(err)
		return request{}
	}
	return request{local: func(c *call) {
		user := e.User()
		if user == nil {
			c.w.Error("ERR User '" + shown([]byte(name), 128) + "' not found")
			return
		}
		why, at := check(user, row, line)
		if why == acl.Nothing {
			c.w.SimpleString("OK")
			return
		}
		c.w.BulkString(deniedText(user, row, why, line[at], true))
	}}
}

func parseACLLog(p *parser) request {
	if len(p.args) > 1 {
		p.fail(unknownACL("LOG"))
	}
	if p.is("RESET") {
		return request{local: func(c *call) {
			c.s.h.denials.reset()
			c.w.SimpleString("OK")
		}}
	}
	n := int64(10)
	if p.more() {
		n = max(p.int(), 0)
	}
	return request{local: func(c *call) {
		lines := c.s.h.denials.newest(int(min(n, math.MaxInt32)))
		c.w.Array(len(lines))
		for i := range lines {
			lines[i].write(c.w, c.s.h.now())
		}
	}}
}

func parseACLFile(p *parser) request {
	p.fail("ERR there is no ACL file: the cluster keeps its users, and every change is saved and in effect on all nodes")
	return request{}
}
