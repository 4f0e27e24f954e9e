package main

import (
	"slices"
	"strings"
	"testing"
)

// The list that is kept is well-formed.
func TestExpected(t *testing.T) {
	l, err := parseList(expectedText)
	if err != nil || len(l.units) < 20 {
		t.Fatal(err, l)
	}
}

func TestListIsJudged(t *testing.T) {
	for text, want := range map[string]string{
		"[u]\nfail x a": "the reason is not known", "reason x: y\nfail x a": "below its [unit]", "reason x: y\n[u]\nfail x a\nskip x a": "the test is here twice",
		"[u]\n[u]": "the unit is here twice", "reason x": "a reason is", "reason x: y\n[u]\npass x a": "fail|skip", "reason x: y\n[u]": "nothing has the reason",
	} {
		if _, err := parseList(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

const printed = `Testing unit/u
[ok]: one (1 ms)
[err]: two in tests/unit/u.tcl
Expected 1
[ok]: three (12 ms)
[err]: three in tests/unit/u.tcl
[skip]: four
[ignore]: five: Not supported on external server
`

// An outcome is compared with the list in both directions.
func TestOutcome(t *testing.T) {
	list := func(names ...string) expectations {
		e := expectations{}
		for _, name := range names {
			e[name] = expectation{reason: "r"}
		}
		return e
	}
	end := "\n                   The End\n[err]: what is repeated in tests/unit/u.tcl\n"
	for _, test := range []struct {
		text string
		want expectations
		diff []string
	}{
		{printed + end, list("two", "three", "four"), nil},
		{printed + end, list("two", "four"), []string{"FAILED   three"}},
		{printed + end, list("two", "three", "one"), []string{"passes, though expected.txt says that it does not: one"}},
		{printed + end, list("two", "three", "nosuch"), []string{"is in expected.txt, but not in the unit: nosuch"}},
		{"[TIMEOUT]: clients state report follows.\nsock1 => (IN PROGRESS) six\n" + end, nil, []string{"did not end: six"}},
		{"[exception]: Executing test client: gone\n", nil, []string{"did not end: Executing test client: gone"}},
		{"", nil, []string{"did not end: it broke off:\n"}},
	} {
		if got := parseOutcome(test.text).compare(test.want); !slices.Equal(got, test.diff) {
			t.Errorf("%q, want %q", got, test.diff)
		}
	}
}
