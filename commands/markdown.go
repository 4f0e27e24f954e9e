package commands

import "strings"

// Marks in the README around the text that Markdown gives.
const (
	MarkdownBegin = "<!-- commands:begin -->"
	MarkdownEnd   = "<!-- commands:end -->"
)

// groups are the groups of commands in the order of the README.
var groups = []struct{ name, title string }{
	{"locks", "Locks"},
	{"keys", "Keys"},
	{"sequences", "Sequences and time"},
	{"transactions", "Transactions"},
	{"scripting", "Scripts"},
	{"strings", "Redis strings, on the same keys"},
	{"hash", "Redis hashes, on the same keys"},
	{"generic", "Redis keys"},
	{"pubsub", "Messages"},
	{"connection", "Connection"},
	{"server", "Server"},
	{"cluster", "Nodes and partitions"},
}

// Markdown is the table of all commands, as it stands in the README between the marks.
func Markdown() string {
	t := newTable()
	var b strings.Builder
	for _, g := range groups {
		b.WriteString("\n### " + g.title + "\n\n| command | what it does |\n|---|---|\n")
		for _, row := range t.sorted {
			if row.Group == g.name {
				row.markdown(&b)
			}
		}
	}
	b.WriteString("\n")
	return b.String()
}

func (c *Command) markdown(b *strings.Builder) {
	line := func(name, syntax, summary string) {
		call := strings.TrimSpace(strings.ToUpper(name) + " " + syntax)
		b.WriteString("| `" + strings.ReplaceAll(call, "|", "\\|") + "` | " + strings.ReplaceAll(summary, "|", "\\|") + " |\n")
	}
	if len(c.Sub) == 0 || c.parse != nil {
		line(c.Name, c.Syntax, c.Summary)
	}
	for i := range c.Sub {
		line(c.Name+" "+c.Sub[i].Name, c.Sub[i].Syntax, c.Sub[i].Summary)
	}
}
