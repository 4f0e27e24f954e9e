// Package listappend judges histories of transactions that append to lists and read them. Each element is appended once, so a
// list that was read tells the order of the writes before it, and from that follows who depends on whom. What is strictly
// serializable has no cycle of dependencies and real time.
//
// Anomalies are named as by Adya: G0 (writes only), G1a (an aborted write was read), G1b (a state in the middle of a transaction
// was read), G1c (writes and reads), G-single (one read that was overwritten), G2-item (several). A cycle that needs real time,
// a lost append among them, has "-realtime" behind its name.
//
// Source: Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental observations", 2020.
package listappend

import (
	"fmt"
	"slices"
)

// Status is how a transaction ended, as far as its client knows.
type Status byte

const (
	Committed Status = iota
	Aborted
	Unknown // it may be there or not
)

// Op is an append of Value to a list, or with Append false a read that saw List.
type Op struct {
	Key    string
	Append bool
	Value  int
	List   []int
}

// Txn is one transaction. Start and End are positions in real time; a transaction that ended before another started comes before
// it. The End of an Unknown one is not looked at.
type Txn struct {
	Ops        []Op
	Status     Status
	Start, End int64
}

// Anomaly is something that must not be.
type Anomaly struct{ Kind, Text string }

// Verdict is what a check found, and how much there was to find it in.
type Verdict struct {
	Anomalies  []Anomaly
	WW, WR, RW int // edges
}

// Kinds are the kinds of anomalies found, each once, in order.
func (v *Verdict) Kinds() (kinds []string) {
	for _, a := range v.Anomalies {
		kinds = append(kinds, a.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

type element struct {
	key   string
	value int
}

type checker struct {
	txns    []Txn
	writers map[element]int
	seen    map[int]bool     // transactions of which somebody read something
	longest map[string][]int // the order of versions
	verdict Verdict
	out     [][]edge
}

func (c *checker) found(kind, format string, args ...any) {
	c.verdict.Anomalies = append(c.verdict.Anomalies, Anomaly{kind, fmt.Sprintf(format, args...)})
}

// Check judges a history.
func Check(txns []Txn) Verdict {
	c := &checker{txns: txns, writers: map[element]int{}, seen: map[int]bool{}, longest: map[string][]int{}}
	c.index()
	c.eachRead(func(i int, o *Op) { c.read(i, o) })
	for i := range txns {
		if txns[i].Status == Committed {
			c.internal(i)
		}
	}
	c.eachRead(func(i int, o *Op) { c.order(i, o) })
	c.eachRead(func(i int, o *Op) { c.prefix(i, o) })
	c.build()
	c.cycles()
	return c.verdict
}

func (c *checker) index() {
	for i := range c.txns {
		for _, o := range c.txns[i].Ops {
			if !o.Append {
				continue
			}
			e := element{o.Key, o.Value}
			if other, ok := c.writers[e]; ok {
				c.found("invalid", "%v is appended by %d and by %d: the history can't be judged", e, other, i)
			}
			c.writers[e] = i
		}
	}
}

func (c *checker) eachRead(f func(i int, o *Op)) {
	for i := range c.txns {
		if c.txns[i].Status != Committed {
			continue
		}
		for k := range c.txns[i].Ops {
			if o := &c.txns[i].Ops[k]; !o.Append {
				f(i, o)
			}
		}
	}
}

// read looks at one read for itself.
func (c *checker) read(i int, o *Op) {
	there := map[int]bool{}
	for k, v := range o.List {
		w, ok := c.writers[element{o.Key, v}]
		switch {
		case !ok:
			c.found("garbage", "%d read %d in %s, which nobody wrote", i, v, o.Key)
			continue
		case there[v]:
			c.found("duplicate", "%d read %d twice in %s", i, v, o.Key)
		case c.txns[w].Status == Aborted:
			c.found("G1a", "%d read %d in %s of %d, which was aborted", i, v, o.Key, w)
		}
		there[v], c.seen[w] = true, true
		next, more := c.after(w, o.Key, v)
		if w != i && more && (k+1 == len(o.List) || o.List[k+1] != next) {
			c.found("G1b", "%d read %s in the middle of %d: %d and not %d", i, o.Key, w, v, next)
		}
	}
}

// after is what a transaction appended to a list after a value.
func (c *checker) after(w int, key string, value int) (next int, more bool) {
	met := false
	for _, o := range c.txns[w].Ops {
		if o.Append && o.Key == key {
			if met {
				return o.Value, true
			}
			met = o.Value == value
		}
	}
	return 0, false
}

// internal sees that a transaction's reads agree with each other and with its own appends.
func (c *checker) internal(i int) {
	known, own := map[string][]int{}, map[string][]int{}
	for _, o := range c.txns[i].Ops {
		if o.Append {
			own[o.Key] = append(own[o.Key], o.Value)
			continue
		}
		list, read := known[o.Key]
		mine := own[o.Key]
		ends := len(o.List) >= len(mine) && slices.Equal(o.List[len(o.List)-len(mine):], mine)
		if !ends || read && !slices.Equal(o.List[:len(o.List)-len(mine)], list) {
			c.found("internal", "%d read %v in %s, after %v and its own %v", i, o.List, o.Key, list, mine)
			continue
		}
		known[o.Key] = o.List[:len(o.List)-len(mine)]
	}
}

func (c *checker) order(_ int, o *Op) {
	if len(o.List) > len(c.longest[o.Key]) {
		c.longest[o.Key] = o.List
	}
}

func (c *checker) prefix(i int, o *Op) {
	if all := c.longest[o.Key]; !slices.Equal(o.List, all[:len(o.List)]) {
		c.found("incompatible-order", "%d read %v in %s, and others %v", i, o.List, o.Key, all)
	}
}
