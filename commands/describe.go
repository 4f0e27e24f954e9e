package commands

import (
	"strings"

	"kahuna/resp"
)

// redisFlags are the flags that COMMAND shows, in Redis's order. Others in a row (dangerous, for its ACL category) are ours.
var redisFlags = []string{"write", "readonly", "denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
	"skip_slowlog", "fast", "no_auth", "no_multi", "allow_busy", "movablekeys"}

func (c *Command) flags() (shown []string) {
	for _, f := range redisFlags {
		if c.has(f) {
			shown = append(shown, f)
		}
	}
	return shown
}

// container tells whether the command is nothing without a subcommand.
func (c *Command) container() bool { return len(c.Sub) > 0 && c.Arity < -1 }

// categories are the ACL categories, each with its @, in Redis's order.
func (c *Command) categories() []string {
	if c.container() {
		return []string{"@slow"} // as in Redis: rules about categories are about what can be executed
	}
	in := map[string]bool{}
	for _, name := range strings.Fields(c.Categories) {
		in[name] = true
	}
	in["write"], in["read"] = c.has("write"), c.has("readonly") && !in["scripting"]
	in["admin"], in["fast"], in["slow"] = c.has("admin"), c.has("fast"), !c.has("fast")
	in["dangerous"] = c.has("admin") || c.has("dangerous")
	var list []string
	for _, name := range categories {
		if in[name] {
			list = append(list, "@"+name)
		}
	}
	return list
}

// describe writes the ten elements that COMMAND has for a command. There are no tips: they tell clients how to split a command
// over shards, and here any node takes any command as it is.
func (c *Command) describe(w *resp.Writer) {
	w.Array(10)
	w.BulkString(c.fullName())
	w.Int(int64(c.Arity))
	writeWords(w, c.flags())
	w.Int(int64(c.FirstKey))
	w.Int(int64(c.LastKey))
	w.Int(int64(c.Step))
	writeWords(w, c.categories())
	w.Set(0)
	c.describeKeys(w)
	if len(c.Sub) == 0 {
		w.Set(0)
		return
	}
	w.Array(len(c.Sub))
	for i := range c.Sub {
		c.Sub[i].describe(w)
	}
}

// describeKeys writes the key specifications. When Access has several, separated by semicolons, each is about one name.
func (c *Command) describeKeys(w *resp.Writer) {
	if c.NumKeysAt > 0 {
		w.Set(1)
		c.describeSpec(w, strings.Fields(c.Access), c.NumKeysAt)
		writeSpec(w, "keynum", []specField{{"keynumidx", 0}, {"firstkey", 1}, {"keystep", 1}})
		return
	}
	if c.FirstKey == 0 {
		w.Set(0)
		return
	}
	specs := strings.Split(c.Access, ";")
	w.Set(len(specs))
	for i, access := range specs {
		last := c.LastKey
		if last > 0 {
			last -= c.FirstKey
		}
		if len(specs) > 1 {
			last = 0
		}
		c.describeSpec(w, strings.Fields(access), c.FirstKey+i)
		writeSpec(w, "range", []specField{{"lastkey", last}, {"keystep", c.Step}, {"limit", 0}})
	}
}

// describeSpec writes what is done with names and where they begin; how to find them is to follow.
func (c *Command) describeSpec(w *resp.Writer, access []string, first int) {
	w.Map(3)
	w.BulkString("flags")
	writeWords(w, access)
	w.BulkString("begin_search")
	writeSpec(w, "index", []specField{{"index", first}})
	w.BulkString("find_keys")
}

// accessOf says what is done with the name number i.
func (c *Command) accessOf(i int) []string {
	specs := strings.Split(c.Access, ";")
	return strings.Fields(specs[min(i, len(specs)-1)])
}

// accessIn is accessOf for a command line: without an option that reads, a command of readWords only overwrites.
func (c *Command) accessIn(args [][]byte, i int) []string {
	if words := readWords[c.fullName()]; words != nil && !names(args[min(c.FirstKey+2, len(args)):], words) {
		return []string{"OW", "update"}
	}
	return c.accessOf(i)
}

type specField struct {
	name  string
	value int
}

func writeSpec(w *resp.Writer, kind string, fields []specField) {
	w.Map(2)
	w.BulkString("type")
	w.BulkString(kind)
	w.BulkString("spec")
	w.Map(len(fields))
	for _, f := range fields {
		w.BulkString(f.name)
		w.Int(int64(f.value))
	}
}

func parseCommandDocs(p *parser) request {
	names := p.words()
	return request{local: func(c *call) {
		rows := c.s.h.table.sorted
		if len(names) > 0 {
			rows = nil
			for _, name := range names {
				if row := c.s.h.table.named(name); row != nil {
					rows = append(rows, row)
				}
			}
		}
		c.w.Map(len(rows))
		for _, row := range rows {
			row.document(c.w)
		}
	}}
}

// document writes the name of a command and what COMMAND DOCS tells about it.
func (c *Command) document(w *resp.Writer) {
	args := parseSyntax(c.Syntax)
	since := c.Since
	if since == "" {
		since = "1.0.0"
	}
	fields := [][2]string{{"summary", c.Summary}, {"since", since}, {"group", c.Group}, {"complexity", c.Complexity}}
	w.BulkString(c.fullName())
	n := len(fields)
	if len(args) > 0 {
		n++
	}
	if len(c.Sub) > 0 {
		n++
	}
	w.Map(n)
	for _, f := range fields {
		w.BulkString(f[0])
		w.BulkString(f[1])
	}
	if len(args) > 0 {
		w.BulkString("arguments")
		writeArguments(w, args)
	}
	if len(c.Sub) > 0 {
		w.BulkString("subcommands")
		w.Map(len(c.Sub))
		for i := range c.Sub {
			c.Sub[i].document(w)
		}
	}
}

func writeArguments(w *resp.Writer, args []argument) {
	w.Array(len(args))
	for i := range args {
		args[i].write(w)
	}
}

func (a *argument) write(w *resp.Writer) {
	fields := [][2]string{{"name", a.name}, {"type", a.kind}}
	if a.kind != "oneof" && a.kind != "block" && a.kind != "pure-token" {
		fields = append(fields, [2]string{"display_text", a.name})
	}
	if a.token != "" {
		fields = append(fields, [2]string{"token", a.token})
	}
	n := len(fields)
	for _, more := range []bool{len(a.flags) > 0, len(a.parts) > 0, a.kind == "key"} {
		if more {
			n++
		}
	}
	w.Map(n)
	for _, f := range fields {
		w.BulkString(f[0])
		w.BulkString(f[1])
	}
	if a.kind == "key" {
		w.BulkString("key_spec_index")
		w.Int(0)
	}
	if len(a.flags) > 0 {
		w.BulkString("flags")
		writeWords(w, a.flags)
	}
	if len(a.parts) > 0 {
		w.BulkString("arguments")
		writeArguments(w, a.parts)
	}
}
