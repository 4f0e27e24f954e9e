package commands

import (
	"slices"
	"strings"

	"kahuna/op"
)

// Command is one row of the table: everything that is known about a command. Arity counts the command's name, and is negative
// for "at least". FirstKey, LastKey and Step say which arguments are names, as in Redis: 0 for none, a negative LastKey
// counts from the end.
type Command struct {
	Name       string // in lower case
	Arity      int
	Flags      string // those of Redis's COMMAND, separated by spaces
	FirstKey   int
	LastKey    int
	Step       int
	NumKeysAt  int      // the argument that says how many names follow it, instead of the three above; 0: none does
	KeySpace   op.Space // the name space of its names; keys when 0
	Access     string   // what is done with its names, as in COMMAND's key specifications
	Categories string   // ACL categories that do not follow from Flags
	Group      string
	Syntax     string // of its arguments; COMMAND DOCS and the README come from it
	Summary    string
	Since      string // the version of Redis that had it, "" for commands that Redis has not
	Complexity string
	Sub        []Command // of a container: CLIENT, CONFIG, COMMAND

	parse  func(p *parser) request
	direct func(s *Session, x *execution) // acts on the session itself, also inside MULTI; instead of parse
	parent string
	access access // for the check of rights
	routed bool   // a cluster-aware client finds the node for it by its names
}

// keyed gives rows their key positions.
func keyed(first, last, step int, access string, rows ...Command) []Command {
	for i := range rows {
		rows[i].FirstKey, rows[i].LastKey, rows[i].Step, rows[i].Access = first, last, step, access
	}
	return rows
}

// table is all commands by name.
type table struct {
	byName map[string]*Command
	sorted []*Command
}

func newTable() *table {
	t := &table{byName: map[string]*Command{}}
	for _, rows := range [][]Command{
		lockRows(), keyRows(), changeRows(), scanRows(), sequenceRows(), stringRows(), counterRows(), hashRows(), genericRows(), keyspaceRows(),
		expiryRows(), transactionRows(), beginRows(), snapshotRows(), connectionRows(), serverRows(), scriptingRows(),
		pubsubRows(),
		objectRows(), databaseRows(), clusterRows(),
	} {
		for i := range rows {
			t.add(&rows[i])
		}
	}
	slices.SortFunc(t.sorted, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
	return t
}

func (t *table) add(c *Command) {
	for i := range c.Sub {
		sub := &c.Sub[i]
		sub.parent = c.Name
		sub.routed = sub.FirstKey > 0 || sub.NumKeysAt > 0
		if sub.Group == "" {
			sub.Group = c.Group
		}
		if sub.Categories == "" {
			sub.Categories = c.Categories
		}
		if sub.Flags == "" {
			sub.Flags = c.Flags
		}
	}
	c.routed = c.FirstKey > 0 || c.NumKeysAt > 0
	t.byName[c.Name] = c
	t.sorted = append(t.sorted, c)
}

// find looks a name up without making garbage; nil when there is no such command.
func (t *table) find(name []byte) *Command {
	var buf [32]byte
	if len(name) > len(buf) {
		return nil
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return t.byName[string(buf[:len(name)])]
}

// sub finds the row of a container's subcommand.
func (c *Command) sub(name []byte) *Command {
	word := lower(name)
	for i := range c.Sub {
		if c.Sub[i].Name == word {
			return &c.Sub[i]
		}
	}
	return nil
}

// fullName is the name in error texts: "get", or "client|id".
func (c *Command) fullName() string {
	if c.parent == "" {
		return c.Name
	}
	return c.parent + "|" + c.Name
}

// takes tells whether the number of arguments, the name (and the container's) among them, fits.
func (c *Command) takes(n int) bool {
	return c.Arity >= 0 && n == c.Arity || c.Arity < 0 && n >= -c.Arity
}

func (c *Command) has(flag string) bool { return slices.Contains(strings.Fields(c.Flags), flag) }

// names are the indexes of the names among the arguments of a command line, whose number fits. There are none when it does not
// say well how many there are: it will be refused.
func (c *Command) names(args [][]byte) (at []int) {
	if c.NumKeysAt == 0 {
		return c.keyPositions(len(args))
	}
	n, _ := keyCount(args[c.NumKeysAt], len(args)-c.NumKeysAt-1)
	for i := range n {
		at = append(at, c.NumKeysAt+1+i)
	}
	return at
}

// keyPositions are the indexes of the names among the arguments.
func (c *Command) keyPositions(argc int) []int {
	if c.FirstKey == 0 {
		return nil
	}
	last := c.LastKey
	if last < 0 {
		last += argc
	}
	var at []int
	for i := c.FirstKey; i <= last && i < argc; i += c.Step {
		at = append(at, i)
	}
	return at
}

// resolve finds the row that a command line means, and what is wrong with it if it is none.
func (t *table) resolve(args [][]byte) (row *Command, skip int, err string) {
	row = t.find(args[0])
	if row == nil {
		return nil, 0, unknownCommand(args)
	}
	skip = 1
	if len(row.Sub) > 0 && len(args) > 1 {
		sub := row.sub(args[1])
		if sub == nil {
			return nil, 0, unknownSubcommand(row.Name, args[1])
		}
		row, skip = sub, 2
	}
	if !row.takes(len(args)) {
		return nil, 0, wrongArity(row.fullName())
	}
	return row, skip, ""
}
