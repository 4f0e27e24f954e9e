package commands

import (
	"bytes"
	"strings"

	"kahuna/acl"
)

// categories are all that rules may name, in the order of ACL CAT: Redis's, those without a command here among them, then ours.
var categories = []string{"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
	"stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting", "lock", "sequence"}

// access is what the check of a command's rights needs to know of its row, made once from the row.
type access struct {
	number int              // in the catalog
	always bool             // no rights are needed: AUTH, HELLO, QUIT, RESET
	needs  []acl.Permission // for the first names, one after the other; the last one also for all that follow
	reads  []string         // as in readWords
	span   int              // as in spans
	use    channelUse       // as in channelUses; its first is 0 without channels
}

// channelUse says which arguments of a command are channels; a last one of -1 means up to the end.
type channelUse struct {
	first, last int
	pattern     bool
}

// channelUses are the commands about channels. To stop listening needs no rights, as in Redis.
var channelUses = map[string]channelUse{
	"publish": {1, 1, false}, "spublish": {1, 1, false},
	"subscribe": {1, -1, false}, "ssubscribe": {1, -1, false}, "psubscribe": {1, -1, true},
}

// spans are commands that show all keys of a range, with the arguments that bound it: those who may not read every name in it
// may not give them. (KEYS, SCAN and their like show names only, and are kept from users by their categories, as in Redis.)
var spans = map[string]int{"kprefix": 1, "kchanges": 1, "krange": 2}

// readWords are the options, behind the value, by which a command reads what it writes. Without one of them the right to write is enough.
var readWords = map[string][]string{
	"set":  {"GET", "IFEQ", "IFNE"},
	"kset": {"IFEQ"},
}

// catalog makes the catalog of the table's commands and gives each row what its check needs.
func (t *table) catalog() *acl.Catalog {
	list := make([]acl.Command, len(t.sorted))
	for i, row := range t.sorted {
		list[i] = row.ruled()
	}
	c := acl.NewCatalog(categories, list)
	for _, row := range t.sorted {
		row.prepare(c)
		for i := range row.Sub {
			row.Sub[i].prepare(c)
		}
	}
	return c
}

// ruled is a command as rules see it.
func (c *Command) ruled() acl.Command {
	r := acl.Command{Name: c.Name}
	for _, category := range c.categories() {
		r.Categories = append(r.Categories, category[1:])
	}
	for i := range c.Sub {
		r.Sub = append(r.Sub, c.Sub[i].ruled())
	}
	return r
}

func (c *Command) prepare(catalog *acl.Catalog) {
	c.access.number, _ = catalog.Number(c.fullName())
	c.access.always = c.has("no_auth")
	c.access.reads, c.access.span, c.access.use = readWords[c.fullName()], spans[c.fullName()], channelUses[c.fullName()]
	c.access.needs = nil
	for _, spec := range strings.Split(c.Access, ";") {
		c.access.needs = append(c.access.needs, permission(spec))
	}
}

// permission is what the words of a key specification ask for.
func permission(words string) (need acl.Permission) {
	for _, word := range strings.Fields(words) {
		switch word {
		case "access":
			need |= acl.Read
		case "insert", "update", "delete":
			need |= acl.Write
		}
	}
	return need
}

// asked is a command line as it is checked. names is room for its keys.
func (c *Command) asked(args [][]byte, names []acl.Key) acl.Request {
	r := acl.Request{Command: c.access.number, Always: c.access.always, Keys: c.ruledKeys(args, names[:0])}
	if len(args) > 1 {
		r.First = args[1]
	}
	if c.access.use.first > 0 {
		r.Channels = c.access.use.channels(args)
	}
	return r
}

func (c *Command) ruledKeys(args [][]byte, keys []acl.Key) []acl.Key {
	if n := c.access.span; n > 0 && len(args) > n {
		return append(keys, acl.Key{Name: commonPrefix(args[1 : 1+n]), Need: acl.Read, Span: true, At: 1})
	}
	if c.NumKeysAt > 0 {
		return append(keys, c.countedKeys(args)...)
	}
	if c.FirstKey == 0 {
		return keys
	}
	last := c.LastKey
	if last < 0 {
		last += len(args)
	}
	for i := c.FirstKey; i <= last && i < len(args); i += c.Step {
		need := c.access.needs[min(len(keys), len(c.access.needs)-1)]
		if words := c.access.reads; words != nil && !names(args[min(i+2, len(args)):], words) {
			need = acl.Write
		}
		keys = append(keys, acl.Key{Name: args[i], Need: need, At: i})
	}
	return keys
}

// countedKeys are the keys of a command that says how many it has. When that is no number, the command fails anyway.
func (c *Command) countedKeys(args [][]byte) (keys []acl.Key) {
	if len(args) <= c.NumKeysAt {
		return nil
	}
	n, _ := keyCount(args[c.NumKeysAt], len(args)-c.NumKeysAt-1)
	for i := range n {
		at := c.NumKeysAt + 1 + i
		keys = append(keys, acl.Key{Name: args[at], Need: c.access.needs[0], At: at})
	}
	return keys
}

// names tells whether one of the words is among the arguments.
func names(args [][]byte, words []string) bool {
	for _, a := range args {
		for _, word := range words {
			if equalFold(a, word) {
				return true
			}
		}
	}
	return false
}

// commonPrefix is what all names of a range begin with.
func commonPrefix(bounds [][]byte) []byte {
	prefix := bounds[0]
	for _, b := range bounds[1:] {
		for !bytes.HasPrefix(b, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}

func (u channelUse) channels(args [][]byte) (list []acl.Channel) {
	last := u.last
	if last < 0 {
		last = len(args) - 1
	}
	for i := u.first; i <= last && i < len(args); i++ {
		list = append(list, acl.Channel{Name: args[i], Pattern: u.pattern, At: i})
	}
	return list
}
