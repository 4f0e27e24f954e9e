package acl

import "slices"

// A Command is what rules can be about: one command, or a subcommand of one.
type Command struct {
	Name       string   // in lower case, without its container
	Categories []string // without @
	Sub        []Command
}

// Catalog is the commands of this version by name. Each has a number, its place among the bits of a selector.
type Catalog struct {
	categories []string
	all        []known
	byName     map[string]int
}

// known is a command of the catalog.
type known struct {
	name       string // in full: "config|get"
	container  bool   // it has subcommands
	parent     int    // number of its container, -1 for none
	categories map[string]bool
}

// NewCatalog makes a catalog. categories are all that there are, those without a command among them, in the order of ACL CAT.
func NewCatalog(categories []string, commands []Command) *Catalog {
	c := &Catalog{categories: categories, byName: map[string]int{}}
	for i := range commands {
		c.add(&commands[i], "", -1)
	}
	return c
}

func (c *Catalog) add(cmd *Command, prefix string, parent int) {
	k := known{name: prefix + cmd.Name, container: len(cmd.Sub) > 0, parent: parent, categories: map[string]bool{}}
	for _, name := range cmd.Categories {
		k.categories[name] = true
	}
	id := len(c.all)
	c.all = append(c.all, k)
	c.byName[k.name] = id
	for i := range cmd.Sub {
		c.add(&cmd.Sub[i], k.name+"|", id)
	}
}

// Number is the number of a command under its full name ("get", "config|get"), in any case.
func (c *Catalog) Number(name string) (number int, ok bool) {
	number, ok = c.byName[lower(name)]
	return number, ok
}

// Name is the full name of a command.
func (c *Catalog) Name(number int) string { return c.all[number].name }

// Categories are all categories.
func (c *Catalog) Categories() []string { return c.categories }

// HasCategory tells whether there is such a category, in any case.
func (c *Catalog) HasCategory(name string) bool {
	return slices.Contains(c.categories, lower(name))
}

// InCategory are the full names of the commands of a category, which is named in any case.
func (c *Catalog) InCategory(name string) []string {
	name = lower(name)
	var list []string
	for i := range c.all {
		if c.all[i].categories[name] {
			list = append(list, c.all[i].name)
		}
	}
	return list
}

// bits is a set of command numbers.
type bits []uint64

func (c *Catalog) newBits() bits { return make(bits, (len(c.all)+63)/64) }

func (b bits) has(n int) bool { return b[n/64]&(1<<(n%64)) != 0 }

func (b bits) set(n int, in bool) {
	if in {
		b[n/64] |= 1 << (n % 64)
	} else {
		b[n/64] &^= 1 << (n % 64)
	}
}

func (b bits) setAll(in bool) {
	for i := range b {
		b[i] = 0
		if in {
			b[i] = ^uint64(0)
		}
	}
}
