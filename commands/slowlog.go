package commands

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/resp"
)

// Bounds of what one entry of the slow log keeps, as in Redis.
const (
	slowArgs     = 32
	slowArgBytes = 128
)

// slowlog remembers what took long. Commands that arrived together and ran together have one entry, under the first of them.
type slowlog struct {
	over atomic.Int64 // microseconds; negative: nothing is remembered
	most atomic.Int64 // entries

	mu      sync.Mutex // guards what follows
	entries []slowEntry
	next    int64
}

type slowEntry struct {
	id     int64
	at     time.Time
	micros int64
	args   [][]byte
	addr   string
	name   string
}

// Defaults of the settings slowlog-log-slower-than and slowlog-max-len: those of Redis.
const (
	slowOverDefault = 10_000
	slowMostDefault = 128
	slowMostLimit   = 100_000
)

// note remembers a command, with those that ran together with it, if it took too long.
func (l *slowlog) note(s *Session, args [][]byte, others int, took time.Duration) {
	if over := l.over.Load(); over < 0 || took.Microseconds() < over || len(args) == 0 {
		return
	}
	e := slowEntry{at: s.h.now(), micros: took.Microseconds(), args: slowLine(public(args), others), addr: s.conn.Remote}
	s.mu.Lock()
	e.name = s.name
	s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.next
	l.next++
	l.entries = append(l.entries, e)
	l.trim()
}

// trim drops the oldest entries; mu is held.
func (l *slowlog) trim() {
	if over := len(l.entries) - int(l.most.Load()); over > 0 {
		l.entries = append([]slowEntry(nil), l.entries[over:]...)
	}
}

// slowLine is what is kept of a command line.
func slowLine(args [][]byte, others int) (kept [][]byte) {
	for i, a := range args {
		if i == slowArgs-1 && len(args) > slowArgs {
			kept = append(kept, fmt.Appendf(nil, "... (%d more arguments)", len(args)-i))
			break
		}
		if len(a) > slowArgBytes {
			a = fmt.Appendf(a[:slowArgBytes:slowArgBytes], "... (%d more bytes)", len(a)-slowArgBytes)
		}
		kept = append(kept, append([]byte(nil), a...))
	}
	if others > 0 {
		kept = append(kept, fmt.Appendf(nil, "... (%d more commands of the pipeline)", others))
	}
	return kept
}

// resize changes how many entries are kept.
func (l *slowlog) resize(most int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most.Store(most)
	l.trim()
}

func (l *slowlog) newest(n int) []slowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]slowEntry, 0, min(n, len(l.entries)))
	for i := len(l.entries) - 1; i >= 0 && len(all) < n; i-- {
		all = append(all, l.entries[i])
	}
	return all
}

func slowlogRow() Command {
	const flags = "admin loading stale"
	return Command{Name: "slowlog", Arity: -2, Flags: flags, Since: "2.2.12", Group: "server", Complexity: "Depends on subcommand.", Summary: "What took longer than slowlog-log-slower-than microseconds on this node.",
		Sub: []Command{
			{Name: "get", Arity: -2, Flags: flags, Syntax: "[count]", Since: "2.2.12", Complexity: "O(N) where N is the number of entries", Summary: "The newest entries, 10 if not said (-1: all): number, Unix time, microseconds, command, client's address and name.", parse: parseSlowlogGet},
			{Name: "len", Arity: 2, Flags: flags, Since: "2.2.12", Complexity: "O(1)", Summary: "How many entries there are.", parse: parseSlowlogLen},
			{Name: "reset", Arity: 2, Flags: flags, Since: "2.2.12", Complexity: "O(N) where N is the number of entries", Summary: "Drops all entries.", parse: parseSlowlogReset},
			{Name: "help", Arity: 2, Flags: "loading stale", Since: "6.2.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("slowlog")},
		}}
}

func parseSlowlogGet(p *parser) request {
	count := int64(10)
	if p.more() {
		v, ok := parseInt(p.next())
		if count = v; !ok || count < -1 {
			p.fail("ERR count should be greater than or equal to -1")
		}
	}
	if p.more() {
		p.arity()
	}
	if count < 0 {
		count = slowMostLimit
	}
	return request{local: func(c *call) {
		entries := c.s.h.slow.newest(int(min(count, slowMostLimit)))
		c.w.Array(len(entries))
		for i := range entries {
			entries[i].write(c.w)
		}
	}}
}

func (e *slowEntry) write(w *resp.Writer) {
	w.Array(6)
	w.Int(e.id)
	w.Int(e.at.Unix())
	w.Int(e.micros)
	w.Array(len(e.args))
	for _, a := range e.args {
		w.Bulk(a)
	}
	w.BulkString(e.addr)
	w.BulkString(e.name)
}

func parseSlowlogLen(*parser) request {
	return request{local: func(c *call) {
		l := &c.s.h.slow
		l.mu.Lock()
		n := len(l.entries)
		l.mu.Unlock()
		c.w.Int(int64(n))
	}}
}

func parseSlowlogReset(*parser) request {
	return request{local: func(c *call) {
		l := &c.s.h.slow
		l.mu.Lock()
		l.entries = nil
		l.mu.Unlock()
		c.w.SimpleString("OK")
	}}
}
