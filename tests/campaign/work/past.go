package work

import (
	"fmt"
	"sync"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/sim/check"
	"kahuna/tests/sim/history"
)

// Past is reads of keys as of timestamps, through any node, the same timestamps again and again.
type Past struct {
	w    *load.World
	keys []string

	mu     sync.Mutex
	times  []op.Timestamp
	events []*history.Event
}

// NewPast makes the work on keys that others write.
func NewPast(w *load.World, keys []string) *Past { return &Past{w: w, keys: keys} }

const timesMax = 64

// Step reads a key at a timestamp, a new one or one that was read at before.
func (p *Past) Step(c *Client) {
	at, ok := p.time(c)
	if !ok {
		return
	}
	key := p.keys[c.Rng.IntN(len(p.keys))]
	e := &history.Event{Client: c.ID, Node: c.Target().Name(), Op: &op.Get{Key: []byte(key)}, At: at, Call: time.Since(p.w.Began)}
	r, end := c.Target().Call("KGET", key, "ASOF", fmt.Sprint(uint64(at)), "META")
	if end != load.Answered {
		c.Leave()
		return
	}
	e.Return = time.Since(p.w.Began)
	if e.Result.Found = !r.Nil(); e.Result.Found {
		e.Result.Value, e.Result.Rev, e.Result.TS = []byte(r.Field("value").Text), uint64(r.Field("revision").Int), op.Timestamp(r.Field("timestamp").Int)
	}
	p.mu.Lock()
	p.events = append(p.events, e)
	p.mu.Unlock()
	p.w.Count("reads of the past", 1)
	p.w.Count("answered by "+e.Node, 1)
}

func (p *Past) time(c *Client) (op.Timestamp, bool) {
	p.mu.Lock()
	known := len(p.times)
	var at op.Timestamp
	if known > 0 {
		at = p.times[c.Rng.IntN(known)]
	}
	p.mu.Unlock()
	if known > 0 && c.Rng.IntN(3) > 0 {
		return at, true
	}
	at, ok := timestamp(c)
	if ok {
		p.mu.Lock()
		if p.times = append(p.times, at); len(p.times) > timesMax {
			p.times = p.times[1:]
		}
		p.mu.Unlock()
	}
	return at, ok
}

// Verdict judges all reads by all versions that the keys have: what a read at a timestamp shows never changes.
func (p *Past) Verdict(versions map[string][]op.Item) (found []string) {
	of := map[string][]op.Item{}
	for _, key := range p.keys {
		of[key] = versions[key]
	}
	for _, v := range check.Versions(p.events, of) {
		found = append(found, "past: "+v.String())
	}
	return found
}
