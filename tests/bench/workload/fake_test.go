package workload

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/redcon"
)

// fakeServer answers the commands of both dialects from memory. A command named in broken gets an error instead.
type fakeServer struct {
	mu      sync.Mutex
	values  map[string]string
	revs    map[string]int64
	numbers map[string]int64
	scripts map[string]string
	broken  string
}

// session is a connection's transaction: nil when none is open.
type session struct{ queued [][]string }

// startFake serves on a free loopback port until the test ends.
func startFake(t *testing.T, broken string) string {
	t.Helper()
	f := &fakeServer{values: map[string]string{}, revs: map[string]int64{}, numbers: map[string]int64{},
		scripts: map[string]string{}, broken: broken}
	s := redcon.NewServer("127.0.0.1:0", f.handle, func(c redcon.Conn) bool { c.SetContext(&session{}); return true }, nil)
	ready := make(chan error, 1)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.ListenServeAndSignal(ready) }()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return s.Addr().String()
}

func (f *fakeServer) handle(c redcon.Conn, cmd redcon.Command) {
	args := make([]string, len(cmd.Args))
	for i, a := range cmd.Args {
		args[i] = string(a)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := c.Context().(*session)
	switch {
	case args[0] == f.broken:
		c.WriteError("ERR broken")
	case args[0] == "MULTI":
		s.queued = [][]string{}
		c.WriteString("OK")
	case args[0] == "EXEC":
		c.WriteArray(len(s.queued))
		for _, q := range s.queued {
			f.do(c, q)
		}
		s.queued = nil
	case s.queued != nil:
		s.queued = append(s.queued, args)
		c.WriteString("QUEUED")
	default:
		f.do(c, args)
	}
}

func (f *fakeServer) do(c redcon.Conn, a []string) {
	switch a[0] {
	case "SET":
		if _, held := f.values[a[1]]; held && len(a) > 3 && a[3] == "NX" {
			c.WriteNull()
			return
		}
		f.values[a[1]] = a[2]
		c.WriteString("OK")
	case "GET", "KGET":
		c.WriteBulkString(f.values[a[1]])
	case "TIMESTAMP":
		f.numbers["token"]++
		c.WriteInt64(f.numbers["token"])
	case "KRANGE", "KPREFIX":
		f.page(c, a)
	case "SCRIPT":
		sha := strconv.Itoa(len(a[2]))
		f.scripts[sha] = a[2]
		c.WriteBulkString(sha)
	case "EVALSHA":
		c.WriteInt64(f.eval(a))
	case "INCR", "SEQNEXT":
		f.numbers[a[1]]++
		c.WriteInt64(f.numbers[a[1]])
	case "KSET":
		if len(a) == 5 && a[4] != strconv.FormatInt(f.revs[a[1]], 10) {
			c.WriteNull()
			return
		}
		f.revs[a[1]]++
		c.WriteInt64(f.revs[a[1]])
	case "LOCK":
		f.values[a[1]] = a[2]
		f.numbers["token"]++
		c.WriteInt64(f.numbers["token"])
	case "UNLOCK":
		c.WriteInt64(f.remove(a[1], a[2]))
	default:
		c.WriteError("ERR unknown command")
	}
}

// page answers a page of keys with their values and revisions: KRANGE start end LIMIT n, KPREFIX prefix [AFTER key] LIMIT n ASOF ts.
func (f *fakeServer) page(c redcon.Conn, a []string) {
	from, limit := a[1], 0
	for i, word := range a {
		switch word {
		case "AFTER":
			from = a[i+1] + "\x00"
		case "LIMIT":
			limit, _ = strconv.Atoi(a[i+1])
		}
	}
	keys := slices.Sorted(maps.Keys(f.values))
	keys = slices.DeleteFunc(keys, func(k string) bool { return k < from || !strings.HasPrefix(k, "key:") })
	keys = keys[:min(limit, len(keys))]
	c.WriteArray(2)
	if len(keys) < limit {
		c.WriteNull()
	} else {
		c.WriteBulkString(keys[len(keys)-1])
	}
	c.WriteArray(3 * len(keys))
	for _, k := range keys {
		c.WriteBulkString(k)
		c.WriteBulkString(f.values[k])
		c.WriteInt64(1)
	}
}

// eval does what the two scripts do.
func (f *fakeServer) eval(a []string) int64 {
	if strings.Contains(f.scripts[a[1]], "DEL") {
		return f.remove(a[3], a[4])
	}
	if f.values[a[3]] != a[4] {
		return 0
	}
	f.values[a[3]] = a[5]
	return 1
}

func (f *fakeServer) remove(key, value string) int64 {
	if f.values[key] != value {
		return 0
	}
	delete(f.values, key)
	return 1
}
