package e2e

import (
	"slices"
	"strings"
	"testing"

	"kahuna/tests/e2e/load"
	"kahuna/tests/e2e/rig"
	"kahuna/tests/e2e/wire"
)

// TestChecksReject spoils the data in every way that the other tests look for, and holds that each is found: a check that
// finds nothing in bad data says nothing about good data.
func TestChecksReject(t *testing.T) {
	_, seed := dice(t)
	s := start(t, rig.Options{Dir: t.TempDir()})
	w := load.New("", 8, seed)
	k := work(w, s.Listen)
	k.until(t, 1500)
	c := connect(t, s.Listen)
	spoils := []struct {
		name  string
		about string // begins the name that must be complained of
		spoil func(name string)
	}{
		{"a lost key", "j:0:", func(key string) { do(t, c, "DEL", key) }},
		{"a changed key", "j:1:", func(key string) { do(t, c, "APPEND", key, "x") }},
		{"an older value", "r:2:0", func(key string) { do(t, c, "KSET", key, "older") }},
		{"a higher revision", "r:3:1", func(key string) {
			value := do(t, c, "GET", key).Text
			do(t, c, "SET", key, value)
		}},
		{"a counter that lost one", "c:0", func(key string) { do(t, c, "DECR", key) }},
		{"a counter with one too many", "c:1", func(key string) { do(t, c, "INCR", key) }},
		{"half a transaction", "p:4:0:a", func(key string) { do(t, c, "SET", key, "half") }},
		{"a transaction that ran twice", "p:5:0:n", func(key string) { do(t, c, "INCR", key) }},
	}
	for _, x := range spoils {
		for findKey(t, c, x.about) == "" {
			k.until(t, 100)
		}
	}
	k.rest()
	check(t, w, s, load.Depth{Resolve: true, All: true}, "before")
	for _, x := range spoils {
		name := findKey(t, c, x.about)
		x.spoil(name)
		complains(t, w, s, x.name, name)
	}
	do(t, c, "SEQSET", "q:0", "3", "FORCE")
	complains(t, w, s, "a sequence that was set back", "q:0")
	do(t, c, "SEQDEL", "q:1")
	complains(t, w, s, "a forgotten IDEM key", "SEQNEXT q:1 IDEM")
	if do(t, c, "LOCKBREAK", "l:0:0").Int == 0 {
		do(t, c, "LOCK", "l:0:0", "stranger", "60000")
	}
	complains(t, w, s, "a lock that changed hands", "l:0:0")
}

// complains holds that a check finds something wrong with name now.
func complains(t *testing.T, w *load.World, s *rig.Server, what, name string) {
	t.Helper()
	before := len(w.Violations())
	if err := w.Check(s.Listen, load.Depth{All: true, Copy: true, Fixed: true}); err != nil {
		t.Fatal(err)
	}
	found := w.Violations()[before:]
	if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, name) }) {
		t.Errorf("%s (%s) is not found", what, name)
	}
}

// findKey gives a key with a value whose name begins so; empty: there is none.
func findKey(t *testing.T, c *wire.Conn, begin string) string {
	t.Helper()
	r := do(t, c, "KEYS", begin+"*")
	if len(r.Parts) == 0 {
		return ""
	}
	return r.Parts[0].Text
}

// TestChecksRejectOlderData starts a server on an older copy of the data: what was acknowledged since is missed.
func TestChecksRejectOlderData(t *testing.T) {
	_, seed := dice(t)
	o := rig.Options{Dir: t.TempDir(), Args: small}
	w := load.New("", 8, seed)
	var older string
	for i := range 2 {
		s := start(t, o)
		check(t, w, s, load.Depth{Resolve: true}, "before")
		k := work(w, s.Listen)
		k.until(t, 300)
		k.rest()
		stop(t, s)
		if i == 0 {
			older = copyOf(t, o.Dir)
		}
	}
	s := start(t, rig.Options{Dir: older, Args: small})
	if err := w.Check(s.Listen, load.Depth{All: true}); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(w.Violations(), "\n")
	for _, what := range []string{"j:", "r:", "c:", "sequence q:", "p:"} {
		if !strings.Contains(all, "\n"+what) && !strings.HasPrefix(all, what) {
			t.Errorf("nothing about %s in %d violations", what, len(w.Violations()))
		}
	}
}
