package config

import (
	"bytes"
	"fmt"
	"strings"
)

const exampleColumns = 100

const exampleHead = `# Every setting of a kahuna server with its default. A line is in effect once its leading '#' is taken away.
#
# A setting can be given in three ways that mean the same: here, as an environment variable (KAHUNA_ and the name in capitals,
# '_' for '-'), and as a flag (-- and the name). A flag wins over the environment, that over this file, that over the default.
# A name ends in the unit of its value: -ms for milliseconds, -bytes or -bytes-max for bytes.
#
#   kahuna server --config config.toml
#
# This file is made from the program's own table of settings: change that, then run go generate ./config
`

// Example is the example file: every setting that a file can have, explained, with its default.
func Example() []byte {
	var b bytes.Buffer
	b.WriteString(exampleHead)
	for _, section := range table(new(Config)) {
		fmt.Fprintf(&b, "\n# --- %s ---\n", section.title)
		for _, s := range section.settings {
			if s.NotFile {
				continue
			}
			b.WriteByte('\n')
			for _, line := range wrap(s.Help+" Allowed: "+s.Allowed()+".", exampleColumns-2) {
				fmt.Fprintf(&b, "# %s\n", line)
			}
			fmt.Fprintf(&b, "#%s = %s\n", s.Key, s.Default)
		}
	}
	return b.Bytes()
}

// Markdown is the table of settings for the README.
func Markdown() []byte {
	var b bytes.Buffer
	b.WriteString("| setting | default | what it is and what it costs |\n|---|---|---|\n")
	for _, s := range Settings() {
		def := "`" + s.Default + "`"
		if s.NotFile {
			def = "none"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Key, def, strings.ReplaceAll(s.Help, "|", `\|`))
	}
	return b.Bytes()
}

// wrap breaks text at spaces into lines of at most so many columns, words longer than that excepted.
func wrap(text string, columns int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		if last >= 0 && len(lines[last])+1+len(word) <= columns {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
