package main

import (
	"regexp"
	"slices"
	"strings"
)

// outcome is what a run of a unit came to.
type outcome struct {
	passed   map[string]bool
	failed   map[string]string // with what it printed
	skipped  map[string]bool   // because the list says so
	excluded int               // by their tags: they want DEBUG, replicas, or to start servers themselves
	unended  string            // what it was at when it did not end; empty: it ended
}

var (
	resultLine = regexp.MustCompile(`^\[(ok|err|skip|ignore|exception|TIMEOUT)\]: ?(.*)$`)
	tookSuffix = regexp.MustCompile(` \(\d+ ms\)$`)
	inSuffix   = regexp.MustCompile(` in tests/\S+\.tcl$`)
	inProgress = regexp.MustCompile(`=> \(IN PROGRESS\) (.*)$`)
)

// parseOutcome reads what runtest prints. A test that ran several times has passed when it always has.
func parseOutcome(text string) *outcome {
	o := &outcome{passed: map[string]bool{}, failed: map[string]string{}, skipped: map[string]bool{}}
	text, _, ended := strings.Cut(text, "\n                   The End\n")
	if !ended {
		o.unended = "it broke off:\n" + text[max(0, len(text)-2000):]
	}
	failing := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		m := resultLine.FindStringSubmatch(line)
		if m == nil {
			if p := inProgress.FindStringSubmatch(line); p != nil {
				o.unended = p[1]
			} else if failing != "" {
				o.failed[failing] += line + "\n"
			}
			continue
		}
		failing = ""
		switch name := m[2]; m[1] {
		case "ok":
			o.passed[tookSuffix.ReplaceAllString(name, "")] = true
		case "err":
			failing = inSuffix.ReplaceAllString(name, "")
			o.failed[failing] += "\n"
		case "skip":
			o.skipped[name] = true
		case "ignore":
			o.excluded++
		default:
			o.unended = name
		}
	}
	for name := range o.failed {
		delete(o.passed, name)
	}
	return o
}

// compare tells in what an outcome is not as expected, one line each.
func (o *outcome) compare(want expectations) (differences []string) {
	if o.unended != "" {
		differences = append(differences, "did not end: "+o.unended)
	}
	for name, why := range o.failed {
		if _, known := want[name]; !known {
			differences = append(differences, "FAILED   "+name+indent(why))
		}
	}
	for name := range o.passed {
		if _, known := want[name]; known {
			differences = append(differences, "passes, though expected.txt says that it does not: "+name)
		}
	}
	for name := range want {
		if _, failed := o.failed[name]; !failed && !o.skipped[name] && !o.passed[name] {
			differences = append(differences, "is in expected.txt, but not in the unit: "+name)
		}
	}
	slices.Sort(differences)
	return differences
}

// linesShown is how much of what a failed test printed is shown; -v shows all of it.
const linesShown = 2

func indent(text string) string {
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if i == linesShown || line == "" {
			break
		}
		b.WriteString("\n         " + line[:min(len(line), 300)])
	}
	return b.String()
}
