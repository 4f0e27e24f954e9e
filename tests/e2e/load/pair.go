package load

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"kahuna/op"
	"kahuna/tests/e2e/wire"
)

// pair is two keys and a counter, on three partitions or all on one, that one client writes together in MULTI and EXEC: the
// keys are always equal.
type pair struct {
	world       *World
	a, b, count string

	mu         sync.Mutex
	candidates []string // "" means that the keys are not there
	tally      tally
	blocked    bool // by a transaction of a killed server, at the last look
}

func newPair(w *World, name string, apart bool) *pair {
	quarters := [3]int{0, 1, 2}
	if !apart {
		quarters = [3]int{3, 3, 3}
	}
	return &pair{world: w, a: place(name+":a", quarters[0]), b: place(name+":b", quarters[1]), count: place(name+":n", quarters[2]),
		candidates: []string{""}}
}

// place completes a name so that its slot lies in that quarter of all slots: in that partition of four.
func place(name string, quarter int) string {
	for i := 0; ; i++ {
		if n := fmt.Sprint(name, i); int(op.Slot([]byte(n)))*4/op.Slots == quarter {
			return n
		}
	}
}

func (p *pair) write(stamp string) *step {
	return &step{[][]string{{"MULTI"}, {"SET", p.a, stamp}, {"SET", p.b, stamp}, {"INCR", p.count}, {"EXEC"}}, func(end outcome, r *wire.Reply) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tally.add(end, 1)
		switch {
		case end == unknown:
			p.candidates = append(p.candidates, stamp)
		case end == acked && len(r.Parts) == 3 && r.Parts[0].Text == "OK" && r.Parts[1].Text == "OK" && r.Parts[2].Kind == ':':
			p.candidates = []string{stamp}
		case end == acked:
			p.world.violate("EXEC on %s answers %s", p.a, shown(r))
		}
	}}
}

// read reads both keys in one transaction.
func (p *pair) read() *step {
	return &step{[][]string{{"MULTI"}, {"GET", p.a}, {"GET", p.b}, {"EXEC"}}, func(end outcome, r *wire.Reply) {
		if end == acked && (len(r.Parts) != 2 || r.Parts[0].Text != r.Parts[1].Text) {
			p.world.violate("%s and %s are read together as %s", p.a, p.b, shown(r))
		}
	}}
}

// How long a name may stay blocked by a transaction whose coordinator was killed, and how long a quick look waits for it.
const (
	blockedMax = 40 * time.Second
	quickLook  = 250 * time.Millisecond
)

// check reads the pair. One with an unknown end may be blocked by it: then it is left alone until the next check, unless
// everything is to be read.
func (p *pair) check(addr string, depth Depth) error {
	p.mu.Lock()
	suspect := len(p.candidates) > 1
	p.blocked = false
	p.mu.Unlock()
	if suspect && !depth.All {
		p.look(addr)
		return nil
	}
	c, err := wire.Dial(addr, replyPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	for began := time.Now(); ; {
		found, err := p.get(c)
		if err != nil {
			return err
		}
		if !found.again() {
			p.observe(found, depth.Fixed)
			return nil
		}
		if time.Since(began) > blockedMax {
			return fmt.Errorf("%s is still blocked: %v", p.a, found)
		}
	}
}

// look reads the pair if that is possible at once.
func (p *pair) look(addr string) {
	c, err := wire.Dial(addr, quickLook)
	if err == nil {
		defer c.Close()
		var found *values
		if found, err = p.get(c); err == nil && !found.again() {
			p.observe(found, false)
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = true
}

// values are what the three keys answered.
type values struct{ a, b, count *wire.Reply }

func (v *values) again() bool {
	for _, r := range []*wire.Reply{v.a, v.b, v.count} {
		if strings.HasPrefix(r.Err(), "TRYAGAIN ") {
			return true
		}
	}
	return false
}

func (v *values) String() string { return fmt.Sprint(v.a, v.b, v.count) }

// get reads the keys one by one: they are equal without a transaction's help, as nobody writes.
func (p *pair) get(c *wire.Conn) (*values, error) {
	v := new(values)
	for key, to := range map[string]**wire.Reply{p.a: &v.a, p.b: &v.b, p.count: &v.count} {
		r, err := c.Do("GET", key)
		if err != nil {
			return nil, err
		}
		*to = r
	}
	return v, nil
}

func (p *pair) observe(v *values, fixed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch found := textOf(v.a); {
	case found != textOf(v.b):
		p.world.violate("%s is %s and %s is %s: half a transaction", p.a, shown(v.a), p.b, shown(v.b))
	case !slices.Contains(p.candidates, found):
		p.world.violate("%s is %s, which is none of %q", p.a, shown(v.a), p.candidates)
	case !fixed:
		p.candidates = []string{found}
	}
	n, err := number(v.count)
	if err != nil {
		p.world.violate("%s is %s", p.count, shown(v.count))
	}
	p.tally.observe(p.world, p.count, n, fixed)
}

func (p *pair) isBlocked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blocked
}

// textOf is the value of a key; an error is a value that nobody wrote.
func textOf(r *wire.Reply) string {
	if r.Nil() {
		return ""
	}
	return r.Text
}
