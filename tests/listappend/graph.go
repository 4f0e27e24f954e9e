package listappend

import (
	"math"
	"sort"
)

type kind byte

const (
	ww kind = 1 << iota // wrote what the other one wrote behind
	wr                  // wrote what the other one read
	rw                  // read what the other one then wrote behind
	rt                  // ended before the other one started
)

type edge struct {
	to   int
	kind kind
}

func (c *checker) edge(from, to int, k kind) {
	if from == to {
		return
	}
	c.out[from] = append(c.out[from], edge{to, k})
	switch k {
	case ww:
		c.verdict.WW++
	case wr:
		c.verdict.WR++
	case rw:
		c.verdict.RW++
	}
}

// counts tells whether a transaction is part of the graph: it committed, or somebody has seen that it did.
func (c *checker) counts(i int) bool {
	return c.txns[i].Status == Committed || c.txns[i].Status == Unknown && c.seen[i]
}

func (c *checker) build() {
	c.out = make([][]edge, len(c.txns))
	unread := c.unread()
	for key, list := range c.longest {
		for k := 1; k < len(list); k++ {
			c.between(key, list[k-1], list[k], ww)
		}
		if len(list) > 0 {
			for _, v := range unread[key] {
				c.between(key, list[len(list)-1], v, ww)
			}
		}
	}
	c.eachRead(func(i int, o *Op) { c.readEdges(i, o, unread[o.Key]) })
	c.timeEdges()
}

// between adds an edge between the writers of two elements, when both are known.
func (c *checker) between(key string, a, b int, k kind) {
	from, ok := c.writers[element{key, a}]
	to, ok2 := c.writers[element{key, b}]
	if ok && ok2 {
		c.edge(from, to, k)
	}
}

// unread are the elements that are there for certain and that no read has: they come behind all that was read.
func (c *checker) unread() map[string][]int {
	read, unread := map[element]bool{}, map[string][]int{}
	for key, list := range c.longest {
		for _, v := range list {
			read[element{key, v}] = true
		}
	}
	for e, w := range c.writers {
		if !read[e] && c.counts(w) {
			unread[e.key] = append(unread[e.key], e.value)
		}
	}
	return unread
}

func (c *checker) readEdges(i int, o *Op, unread []int) {
	n, all := len(o.List), c.longest[o.Key]
	if n > 0 {
		if w, ok := c.writers[element{o.Key, o.List[n-1]}]; ok {
			c.edge(w, i, wr)
		}
	}
	next := unread
	if n < len(all) {
		next = all[n : n+1]
	}
	for _, v := range next {
		if w, ok := c.writers[element{o.Key, v}]; ok {
			c.edge(i, w, rw)
		}
	}
}

// timeEdges adds nodes that stand for moments, one behind the other: a transaction leads to the moment of its end, and the last
// moment before its start leads to it. So there are as many edges as transactions, not their square.
func (c *checker) timeEdges() {
	var ends []int
	for i := range c.txns {
		if c.txns[i].Status == Committed {
			ends = append(ends, i)
		}
	}
	sort.Slice(ends, func(a, b int) bool { return c.txns[ends[a]].End < c.txns[ends[b]].End })
	first := len(c.txns)
	c.out = append(c.out, make([][]edge, len(ends))...)
	for k, i := range ends {
		c.edge(i, first+k, rt)
		if k > 0 {
			c.edge(first+k-1, first+k, rt)
		}
	}
	for i := range c.txns {
		start := c.txns[i].Start
		if !c.counts(i) || start == math.MinInt64 {
			continue
		}
		if k := sort.Search(len(ends), func(k int) bool { return c.txns[ends[k]].End >= start }); k > 0 {
			c.edge(first+k-1, i, rt)
		}
	}
}

// cycles looks for each kind of cycle, first without real time.
func (c *checker) cycles() {
	for _, t := range []struct {
		with   kind
		suffix string
	}{{0, ""}, {rt, "-realtime"}} {
		before := len(c.verdict.Anomalies)
		c.component("G0"+t.suffix, ww|t.with, ww)
		c.component("G1c"+t.suffix, ww|wr|t.with, wr)
		c.overwritten(t.suffix, t.with)
		if len(c.verdict.Anomalies) > before {
			return
		}
	}
}

// component reports the first edge of a kind that lies on a cycle of the kinds allowed.
func (c *checker) component(name string, allowed, with kind) {
	id := c.strong(allowed)
	for i := range c.out {
		for _, e := range c.out[i] {
			if e.kind == with && id[i] == id[e.to] {
				c.found(name, "a cycle through %d and %d", i, e.to)
				return
			}
		}
	}
}

// overwritten looks for cycles with reads that were overwritten, and tells those with one from those that need more.
func (c *checker) overwritten(suffix string, with kind) {
	id := c.strong(ww | wr | rw | with)
	single, more := false, false
	for i := range c.out {
		for _, e := range c.out[i] {
			if e.kind != rw || id[i] != id[e.to] {
				continue
			}
			if c.path(e.to, i, ww|wr|with, id) {
				if !single {
					c.found("G-single"+suffix, "%d read what %d overwrote, and comes after it", i, e.to)
				}
				single = true
			} else {
				more = true
			}
		}
	}
	if more && !single {
		c.found("G2-item"+suffix, "a cycle of several reads that were overwritten")
	}
}

// path tells whether a node is reached from another inside one component.
func (c *checker) path(from, to int, allowed kind, id []int) bool {
	seen, todo := map[int]bool{from: true}, []int{from}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n == to {
			return true
		}
		for _, e := range c.out[n] {
			if e.kind&allowed != 0 && id[e.to] == id[n] && !seen[e.to] {
				seen[e.to] = true
				todo = append(todo, e.to)
			}
		}
	}
	return false
}

// strong numbers the strongly connected components over edges of some kinds. Source: Tarjan, 1972, without recursion.
func (c *checker) strong(allowed kind) []int {
	n := len(c.out)
	id, low, num, at := make([]int, n), make([]int, n), make([]int, n), make([]int, n)
	var stack, calls []int
	count, comps := 0, 0
	for root := range n {
		if num[root] > 0 {
			continue
		}
		calls = append(calls, root)
		for len(calls) > 0 {
			v := calls[len(calls)-1]
			if num[v] == 0 {
				count++
				num[v], low[v] = count, count
				stack = append(stack, v)
			}
			deeper := false
			for ; at[v] < len(c.out[v]) && !deeper; at[v]++ {
				e := c.out[v][at[v]]
				switch {
				case e.kind&allowed == 0 || id[e.to] > 0:
				case num[e.to] == 0:
					calls = append(calls, e.to)
					deeper = true
				default:
					low[v] = min(low[v], num[e.to])
				}
			}
			if deeper {
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				p := calls[len(calls)-1]
				low[p] = min(low[p], low[v])
			}
			if low[v] == num[v] {
				comps++
				for w := -1; w != v; {
					w = stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					id[w] = comps
				}
			}
		}
	}
	return id
}
