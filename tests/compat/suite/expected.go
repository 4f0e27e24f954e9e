package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed expected.txt
var expectedText string

// expectation is why a test does not pass.
type expectation struct {
	reason string
	skip   bool // it is not run, because what it leaves behind breaks others, or it never ends
}

// expectations are the tests of a unit that do not pass, by their names.
type expectations map[string]expectation

// list is what is expected of the whole suite.
type list struct {
	units  []string // in their order
	byUnit map[string]expectations
}

// parseList reads the format that expected.txt explains.
func parseList(text string) (*list, error) {
	l := &list{byUnit: map[string]expectations{}}
	reasons, used := map[string]string{}, map[string]bool{}
	var unit expectations
	for i, line := range strings.Split(text, "\n") {
		bad := func(what string) error { return fmt.Errorf("expected.txt, line %d: %s: %s", i+1, what, line) }
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
			continue
		case strings.HasPrefix(line, "reason "):
			name, text, ok := strings.Cut(line[len("reason "):], ": ")
			if !ok || reasons[name] != "" {
				return nil, bad("a reason is `reason name: text`, each name once")
			}
			reasons[name] = text
			continue
		case line[0] == '[':
			name := strings.Trim(line, "[]")
			if l.byUnit[name] != nil {
				return nil, bad("the unit is here twice")
			}
			unit = expectations{}
			l.units, l.byUnit[name] = append(l.units, name), unit
			continue
		}
		fields := strings.SplitN(line, " ", 3)
		if len(fields) < 3 || unit == nil || !slices.Contains([]string{"fail", "skip"}, fields[0]) {
			return nil, bad("a test is `fail|skip reason name`, below its [unit]")
		}
		if reasons[fields[1]] == "" {
			return nil, bad("the reason is not known")
		}
		if _, twice := unit[fields[2]]; twice {
			return nil, bad("the test is here twice")
		}
		used[fields[1]] = true
		unit[fields[2]] = expectation{reasons[fields[1]], fields[0] == "skip"}
	}
	for name := range reasons {
		if !used[name] {
			return nil, fmt.Errorf("expected.txt: nothing has the reason %q", name)
		}
	}
	return l, nil
}

// skipped are the names of the tests that are not run, one per line.
func (e expectations) skipped() string {
	var names []string
	for name, x := range e {
		if x.skip {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}
