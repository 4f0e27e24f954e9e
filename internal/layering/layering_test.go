package layering

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// The program has the shape of its architecture.
func TestModule(t *testing.T) {
	root := os.DirFS("../..")
	found, err := Check("kahuna", root)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
	if modFile, err := fs.ReadFile(root, "go.mod"); err != nil || !strings.HasPrefix(string(modFile), "module kahuna\n") {
		t.Errorf("the module is not the one that is checked: %v", err)
	}
}

// source is a file of that package with those imports and that body.
func source(name, body string, imports ...string) string {
	for i, path := range imports {
		if !strings.Contains(path, `"`) {
			imports[i] = fmt.Sprintf("%q", path)
		}
	}
	return fmt.Sprintf("package %s\n\nimport (\n%s\n)\n\n%s\n", name, strings.Join(imports, "\n"), body)
}

// Each of these breaks one rule, and is caught.
func TestViolationsAreCaught(t *testing.T) {
	tests := map[string]struct{ file, source, want string }{
		"upward":               {"op/x.go", source("op", "", "m/storage"), "op imports storage: layers go"},
		"upward across":        {"fsm/x.go", source("fsm", "", "m/raftgroup"), "fsm imports raftgroup: layers go"},
		"upward to a child":    {"txn/x.go", source("txn", "", "m/txn/coord"), "txn imports txn/coord: layers go"},
		"upward from a child":  {"raftgroup/wal/x.go", source("wal", "", "m/partition"), "raftgroup/wal imports partition: layers go"},
		"sideways":             {"locks/x.go", source("locks", "", "m/sequencer"), "locks imports sequencer: layers go"},
		"to main":              {"cluster/x.go", source("cluster", "", "m"), "cluster imports main: layers go"},
		"to the settings":      {"cluster/x.go", source("cluster", "", "m/config"), "cluster imports config: layers go"},
		"to the harness":       {"x.go", source("main", "", "m/tests/sim"), "main imports tests/sim: layers go"},
		"clock below the line": {"mvcc/x.go", source("mvcc", "", "m/internal/clock"), "mvcc imports internal/clock: layers go"},
		"no layer":             {"util/x.go", source("util", ""), "package util has no layer"},
		"badger":               {"fsm/x.go", source("fsm", "", "github.com/dgraph-io/badger/v4"), "only storage knows Badger"},
		"raft":                 {"cluster/x.go", source("cluster", "", "github.com/hashicorp/raft"), "only raftgroup knows"},
		"redcon":               {"commands/x.go", source("commands", "", "github.com/tidwall/redcon"), "only server knows redcon"},
		"prometheus":           {"server/x.go", source("server", "", "github.com/prometheus/client_golang/prometheus"), "plain fields"},
		"toml":                 {"x.go", source("main", "", "github.com/pelletier/go-toml/v2"), "settings come from one place"},
		"cli":                  {"admin/x.go", source("admin", "", "github.com/urfave/cli/v2"), "flags are the program's"},
		"porcupine":            {"cluster/x.go", source("cluster", "", "github.com/anishathalye/porcupine"), "for tests"},
		"now":                  {"fsm/x.go", source("fsm", "var x = time.Now()", "time"), "fsm uses time.Now: the state machine has no clock"},
		"now, renamed":         {"locks/x.go", source("locks", "var x = t.Now", `t "time"`), "locks uses time.Now: the state"},
		"now, nameless":        {"locks/x.go", source("locks", "var x = Now", `. "time"`), "locks imports time without its name"},
		"a package of tests":   {"mvcc/x.go", source("mvcc", "", "m/mvcc/viewtest"), "mvcc imports mvcc/viewtest: a package whose name ends in test"},
		"sleep":                {"storage/x.go", source("storage", "func f() { time.Sleep(1) }", "time"), "storage uses time.Sleep"},
		"timer":                {"txn/x.go", source("txn", "var x = time.NewTimer(1)", "time"), "txn uses time.NewTimer"},
		"deadline":             {"txn/x.go", source("txn", "var x, y = context.WithTimeout(nil, 1)", "context"), "txn uses context.WithTimeout"},
		"rand":                 {"fsm/x.go", source("fsm", "", "math/rand"), "fsm imports math/rand: replicas"},
		"rand/v2":              {"keys/x.go", source("keys", "", "math/rand/v2"), "keys imports math/rand/v2: replicas"},
		"crypto/rand":          {"op/x.go", source("op", "", "crypto/rand"), "op imports crypto/rand: replicas"},
		"net":                  {"mvcc/x.go", source("mvcc", "", "net"), "mvcc imports net: the state machine talks to nobody"},
		"net/http":             {"mvcc/x.go", source("mvcc", "", "net/http"), "mvcc imports net/http"},
		"os":                   {"mvcc/x.go", source("mvcc", "", "os"), "mvcc imports os: only storage touches"},
		"os/exec":              {"op/x.go", source("op", "", "os/exec"), "op imports os/exec: only storage touches"},
		"go":                   {"fsm/x.go", source("fsm", "func f() { go f() }"), "fsm starts a goroutine"},
		"go, in a child":       {"fsm/part/x.go", source("part", "func f() { go f() }"), "fsm/part starts a goroutine"},
		"behind a tag":         {"fsm/x.go", "//go:build bug\n\n" + source("fsm", "func f() { go f() }"), "fsm starts a goroutine"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found, err := Check("m", fstest.MapFS{test.file: {Data: []byte(test.source)}})
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || !strings.Contains(found[0].String(), test.want) || found[0].File != test.file || found[0].Line < 1 {
				t.Errorf("found %v, want one with %q", found, test.want)
			}
		})
	}
}

// None of these breaks a rule.
func TestAllowed(t *testing.T) {
	files := fstest.MapFS{
		"x.go":               {Data: []byte(source("main", "", "m/server", "m/cluster", "m/op", "github.com/urfave/cli/v2", "github.com/prometheus/x"))},
		"cluster/x.go":       {Data: []byte(source("cluster", "var x = time.Now(); func f() { go f() }", "m/partition", "m/op", "time", "net", "os"))},
		"raftgroup/x.go":     {Data: []byte(source("raftgroup", "", "m/raftgroup/wal", "m/internal/clock", "github.com/hashicorp/raft", "math/rand"))},
		"raftgroup/wal/x.go": {Data: []byte(source("wal", "", "os", "m/op"))},
		"storage/x.go":       {Data: []byte(source("storage", "var d = time.NewTimer(time.Second); func f() { go f() }", "os", "time", "github.com/dgraph-io/badger/v4"))},
		"txn/coord/x.go":     {Data: []byte(source("coord", "var x = time.Now()", "m/txn", "m/cluster", "time"))},
		"fsm/x.go":           {Data: []byte(source("fsm", "var x = clock.Now()", "m/txn", "m/storage", `clock "example.org/other"`))},
		"fsm/x_test.go":      {Data: []byte(source("fsm", "var x = time.Now()", "m/cluster", "time", "os"))},
		"mvcc/viewtest/x.go": {Data: []byte(source("viewtest", "var x = time.Now()", "m/cluster", "time", "os"))},
		"fsm/testdata/x.go":  {Data: []byte("no Go at all")},
		"tests/sim/x.go":     {Data: []byte(source("sim", "", "m/cluster", "github.com/hashicorp/raft", "github.com/anishathalye/porcupine"))},
	}
	found, err := Check("m", files)
	if err != nil || len(found) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestUnreadable(t *testing.T) {
	if _, err := Check("m", fstest.MapFS{"op/x.go": {Data: []byte("package op\nfunc {")}}); err == nil {
		t.Error("a file with a syntax error was accepted")
	}
}

// The table itself: no package stands twice, and each rule about a library names packages that have a layer.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range layers {
		for _, pkg := range l.packages {
			if seen[pkg] {
				t.Errorf("%q stands in two layers", pkg)
			}
			seen[pkg] = true
		}
	}
	for _, rule := range libraries {
		for _, pkg := range rule.by {
			if layerOf(pkg) < 0 {
				t.Errorf("%s may be imported by %s, which has no layer", rule.library, pkg)
			}
		}
	}
	for path, names := range bannedNames {
		for name := range names {
			expr := path + "." + name
			if _, err := parser.ParseExprFrom(token.NewFileSet(), "", expr, 0); err != nil {
				t.Errorf("%s is no name: %v", expr, err)
			}
		}
	}
}
