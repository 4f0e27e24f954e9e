package load

import (
	"fmt"
	"strconv"
	"sync"

	"kahuna/tests/e2e/wire"
)

// tally bounds a number that only goes up: it is at least base and what was acknowledged since, and at most what is unknown
// more. The caller locks.
type tally struct{ base, acked, unknown int64 }

func (t *tally) add(end outcome, n int64) {
	switch end {
	case acked:
		t.acked += n
	case unknown:
		t.unknown += n
	}
}

// observe holds the number against its bounds and goes on from it.
func (t *tally) observe(w *World, what string, found int64, fixed bool) {
	if low, high := t.base+t.acked, t.base+t.acked+t.unknown; found < low || found > high {
		w.violate("%s is at %d, where %d to %d was to be expected", what, found, low, high)
	}
	if !fixed {
		*t = tally{base: found}
	}
}

// counter is a key that all clients INCR.
type counter struct {
	key string
	mu  sync.Mutex
	tally
	high int64 // largest acknowledged value
}

func (c *counter) increment(w *World) *step {
	c.mu.Lock()
	before := c.high
	c.mu.Unlock()
	return &step{[][]string{{"INCR", c.key}}, func(end outcome, r *wire.Reply) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.add(end, 1)
		if end != acked {
			return
		}
		if r.Int <= before {
			w.violate("INCR %s answers %d, and had answered %d before", c.key, r.Int, before)
		}
		c.high = max(c.high, r.Int)
	}}
}

func (c *counter) check(w *World, conn *wire.Conn, fixed bool) error {
	n, err := readInt(conn, "GET", c.key)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observe(w, c.key, n, fixed)
	return nil
}

// readInt reads a number that is stored as text; nothing counts as 0.
func readInt(c *wire.Conn, args ...string) (int64, error) {
	r, err := c.Do(args...)
	if err != nil {
		return 0, err
	}
	return number(r)
}

func number(r *wire.Reply) (int64, error) {
	if r.Nil() {
		return 0, nil
	}
	return strconv.ParseInt(r.Text, 10, 64)
}

// clock is the global order: timestamps, and the tokens of locks.
type clock struct {
	mu   sync.Mutex
	high int64
	seen map[int64]bool
}

func newClock() *clock { return &clock{seen: map[int64]bool{}} }

func (c *clock) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.high
}

// saw holds n timestamps from first on against all that were known before they were asked for.
func (c *clock) saw(w *World, what string, before, first int64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first <= before {
		w.violate("%s answers %d, and %d was known before", what, first, before)
	}
	for i := range int64(n) {
		if c.seen[first+i] {
			w.violate("%s gives %d a second time", what, first+i)
		}
		c.seen[first+i] = true
	}
	c.high = max(c.high, first+int64(n)-1)
}

func (c *clock) timestamp(w *World, n int) *step {
	before := c.now()
	return &step{[][]string{{"TIMESTAMP", "COUNT", fmt.Sprint(n)}}, func(end outcome, r *wire.Reply) {
		if end == acked {
			c.saw(w, "TIMESTAMP", before, r.Int, n)
		}
	}}
}

func (c *clock) check(w *World, conn *wire.Conn, copied bool) error {
	before := c.now()
	r, err := conn.Do("TIMESTAMP")
	if err != nil {
		return err
	}
	if r.Kind != ':' {
		return fmt.Errorf("TIMESTAMP answers %s", shown(r))
	}
	if !copied {
		c.saw(w, "TIMESTAMP", before, r.Int, 1)
	} else if r.Int <= before {
		w.violate("TIMESTAMP answers %d, and %d was known before", r.Int, before)
	}
	return nil
}
