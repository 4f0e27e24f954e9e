package commands

import (
	"slices"
	"strings"

	"kahuna/glob"
	"kahuna/resp"
)

func commandRow() Command {
	const flags = "loading stale"
	return Command{Name: "command", Arity: -1, Flags: flags, Since: "2.8.13", Complexity: "O(N) where N is the number of commands", Summary: "About all commands.",
		Categories: "connection", parse: parseCommand,
		Sub: []Command{
			{Name: "count", Arity: 2, Flags: flags, Since: "2.8.13", Complexity: "O(1)", Summary: "How many commands there are.", parse: parseCommandCount},
			{Name: "info", Arity: -2, Flags: flags, Syntax: "[command-name [command-name ...]]", Since: "2.8.13", Complexity: "O(N) where N is the number of commands", Summary: "What a client library needs to know about commands.", parse: parseCommandInfo},
			{Name: "docs", Arity: -2, Flags: flags, Syntax: "[command-name [command-name ...]]", Since: "7.0.0", Complexity: "O(N) where N is the number of commands", Summary: "What a person wants to know about commands.", parse: parseCommandDocs},
			{Name: "list", Arity: -2, Flags: flags, Syntax: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", Since: "7.0.0", Complexity: "O(N) where N is the number of commands", Summary: "The names of commands.", parse: parseCommandList},
			{Name: "getkeys", Arity: -3, Flags: flags, Syntax: "command [arg ...]", Since: "2.8.13", Complexity: "O(N) where N is the number of arguments", Summary: "The keys in a command.", parse: parseGetKeys(false)},
			{Name: "getkeysandflags", Arity: -3, Flags: flags, Syntax: "command [arg ...]", Since: "7.0.0", Complexity: "O(N) where N is the number of arguments", Summary: "The keys in a command and what is done with them.", parse: parseGetKeys(true)},
			{Name: "help", Arity: 2, Flags: flags, Since: "5.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("command")},
		},
	}
}

func parseCommand(*parser) request { return describeAll }

var describeAll = request{local: func(c *call) {
	rows := c.s.h.table.sorted
	c.w.Array(len(rows))
	for _, row := range rows {
		row.describe(c.w)
	}
}}

func parseCommandCount(*parser) request {
	return request{local: func(c *call) { c.w.Int(int64(len(c.s.h.table.sorted))) }}
}

// named finds the row of "get" or of "client|id".
func (t *table) named(name []byte) *Command {
	container, sub, isSub := strings.Cut(string(name), "|")
	row := t.find([]byte(container))
	if row == nil || !isSub {
		return row
	}
	return row.sub([]byte(sub))
}

func parseCommandInfo(p *parser) request {
	names := p.words()
	if len(names) == 0 {
		return describeAll
	}
	return request{local: func(c *call) {
		c.w.Array(len(names))
		for _, name := range names {
			if row := c.s.h.table.named(name); row != nil {
				row.describe(c.w)
			} else {
				c.w.Null()
			}
		}
	}}
}

func parseCommandList(p *parser) request {
	keep := func(*Command) bool { return true }
	if p.more() {
		if !p.is("FILTERBY") || len(p.args) != 2 {
			p.fail(errSyntax)
			return request{}
		}
		switch {
		case p.is("MODULE"):
			keep = func(*Command) bool { return false }
		case p.is("ACLCAT"):
			category := "@" + lower(p.args[0])
			keep = func(c *Command) bool { return slices.Contains(c.categories(), category) }
		case p.is("PATTERN"):
			pattern := []byte(lower(p.args[0]))
			keep = func(c *Command) bool { return glob.Match(pattern, []byte(c.fullName())) }
		default:
			p.fail(errSyntax)
		}
	}
	return request{local: func(c *call) {
		var names []string
		for _, row := range c.s.h.table.sorted {
			if keep(row) {
				names = append(names, row.Name)
			}
			for i := range row.Sub {
				if keep(&row.Sub[i]) {
					names = append(names, row.Sub[i].fullName())
				}
			}
		}
		c.w.Array(len(names))
		for _, n := range names {
			c.w.BulkString(n)
		}
	}}
}

// parseGetKeys looks a command line up as it would be executed, and shows its names.
func parseGetKeys(withFlags bool) func(p *parser) request {
	return func(p *parser) request {
		line := p.words()
		row := p.h.table.find(line[0])
		if row != nil && len(row.Sub) > 0 && len(line) > 1 {
			row = row.sub(line[1])
		}
		switch {
		case row == nil:
			p.fail(errKeysCommand)
			return request{}
		case row.FirstKey == 0 && row.NumKeysAt == 0:
			p.fail(errKeysNone)
		case !row.takes(len(line)):
			p.fail(errKeysArity)
		}
		if p.err != "" {
			return request{}
		}
		at := row.names(line)
		return request{local: func(c *call) {
			c.w.Array(len(at))
			for nth, i := range at {
				if withFlags {
					c.w.Array(2)
					c.w.Bulk(line[i])
					writeWords(c.w, row.accessIn(line, nth))
					continue
				}
				c.w.Bulk(line[i])
			}
		}}
	}
}

// writeWords writes a set of statuses.
func writeWords(w *resp.Writer, words []string) {
	w.Set(len(words))
	for _, f := range words {
		w.SimpleString(f)
	}
}
