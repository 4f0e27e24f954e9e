// Package layering holds the shape of the program: which package may import which, and what is banned where. Check reads
// the source of the module and reports every violation with the reason for its rule; the test runs it on this module.
//
// Files of every build tag are read. Test files are exempt: a test may stand anywhere and use any clock. So are packages
// whose name ends in "test", as net/http/httptest; but only tests may import those.
package layering

// layer is packages of one height. A package belongs to the layer that names it, or the longest path above it. It may
// import packages of lower layers, and those below its own name (raftgroup imports raftgroup/wal), no others.
type layer struct {
	packages      []string
	deterministic bool // below the line: no clocks, no randomness, no network, no goroutines
}

// layers from top to bottom; "" is the module's root, package main.
var layers = []layer{
	{packages: []string{"tests", "internal/testcluster", "examples"}}, // harnesses, which run all of it, and what users copy
	{packages: []string{""}},
	{packages: []string{"server", "admin", "config", "lockrun", "certs", "demo"}},
	{packages: []string{"commands"}},
	{packages: []string{"script"}},
	{packages: []string{"txn/coord"}},
	{packages: []string{"cluster"}},
	{packages: []string{"partition", "peer", "hub", "interest"}},
	{packages: []string{"raftgroup"}},
	{packages: []string{"internal/clock", "pubsub", "client"}},
	// ======== below this line everything is a function of the log ========
	{packages: []string{"placement"}, deterministic: true},
	{packages: []string{"fsm"}, deterministic: true},
	{packages: []string{"txn"}, deterministic: true},
	{packages: []string{"hashes"}, deterministic: true},
	{packages: []string{"locks", "sequencer", "keys"}, deterministic: true},
	{packages: []string{"mvcc"}, deterministic: true},
	{packages: []string{"storage"}, deterministic: true},
	{packages: []string{"acl"}, deterministic: true},
	{packages: []string{"op", "resp", "glob"}, deterministic: true},
	{packages: []string{"version", "internal/invariant", "internal/layering"}},
}

const orderReason = "layers go strictly downward, so that each can be understood and simulated without those above it"

// owned is a library that only some packages may import.
type owned struct {
	library string // an import path, with all below it
	by      []string
	reason  string
}

var libraries = []owned{
	{"github.com/dgraph-io", []string{"storage"},
		"only storage knows Badger: one place decides what a transaction and a durable write are"},
	{"github.com/hashicorp", []string{"raftgroup"},
		"only raftgroup knows hashicorp/raft: its traps (uncertain ends, stale leaders) are handled in one place"},
	{"github.com/tidwall/redcon", []string{"server"},
		"only server knows redcon: its parser is safe only behind the guard"},
	{"github.com/prometheus", []string{"", "admin"},
		"packages count in plain fields; what shows them is the program's choice"},
	{"github.com/pelletier/go-toml", []string{"config"},
		"settings come from one place"},
	{"github.com/urfave/cli", []string{""},
		"flags are the program's; everything else gets values"},
	{"github.com/yuin/gopher-lua", []string{"script"},
		"only script knows the virtual machine: what it lets a script reach and allocate is decided there"},
	{"github.com/redis/go-redis", []string{"examples"}, "a client is for tests and examples"},
	{"github.com/anishathalye/porcupine", nil, "a checker is for tests"},
	{"go.etcd.io", nil, "what we are compared with is for tests"},
}

// banned is an import that deterministic packages may not have.
type banned struct {
	library string // as in owned
	except  []string
	reason  string
}

var bannedImports = []banned{
	{library: "math/rand", reason: "replicas must come to the same result: randomness is not in the log"},
	{library: "crypto/rand", reason: "replicas must come to the same result: randomness is not in the log"},
	{library: "net", reason: "the state machine talks to nobody"},
	{library: "os", except: []string{"storage"}, reason: "only storage touches the disk, so that what is durable is decided there"},
	{library: "syscall", except: []string{"storage"}, reason: "only storage touches the machine"},
	{library: "golang.org/x/sys", except: []string{"storage"}, reason: "only storage touches the machine"},
}

// bannedNames are functions of the standard library that deterministic packages may not use, by import path.
var bannedNames = map[string]map[string]string{
	"time": names("the state machine has no clock: times come with the log",
		"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"),
	"context": names("a deadline is a clock: times come with the log",
		"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"),
}

const goReason = "goroutines make the order of events differ between replicas; what runs beside the log belongs above the line"

// exceptions are what single packages may use all the same, as it does not touch what an entry does.
var exceptions = []struct{ pkg, what, reason string }{
	{"storage", "go", "checks tables side by side when it opens, and waits for Badger's Close, which hangs on a broken disk"},
	{"storage", "time.NewTimer", "bounds that wait"},
}

func excepted(pkg, what string) bool {
	for _, e := range exceptions {
		if e.what == what && within(pkg, []string{e.pkg}) {
			return true
		}
	}
	return false
}

const testPackageReason = "a package whose name ends in test is for tests only"

func names(reason string, all ...string) map[string]string {
	m := map[string]string{}
	for _, name := range all {
		m[name] = reason
	}
	return m
}
