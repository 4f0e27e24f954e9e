package placement

import (
	"encoding/binary"
	"flag"
	"testing"
	"time"

	"kahuna/op"
)

var whole = flag.Bool("whole", false, "take 1,000 nodes and 100,000 partitions, and let them come to rest, which takes some minutes")

// largeCluster has more partitions than slots: they are cut between names.
func largeCluster(t *testing.T, nodes, partitions int) *cluster {
	c := newCluster(t, 1, nodes, 10, 1, 3)
	ids := byTurns(c.s.Nodes)
	c.s.Ranges, c.s.NextID, c.ids = make([]Range, partitions), uint32(partitions+1), c.ids[:1]
	for i := range c.s.Ranges {
		from := op.Position{Slot: uint16(i * op.Slots / partitions)}
		if i > 0 && c.s.Ranges[i-1].From.Slot == from.Slot {
			from.Name = binary.BigEndian.AppendUint32(nil, uint32(i))
		}
		r := &c.s.Ranges[i]
		*r = Range{ID: uint32(i + 1), Epoch: 1, From: from, Replicas: window(ids, i, 3)}
		if i > 0 {
			c.s.Ranges[i-1].To = from
		}
		c.found(r.ID, c.s.RangeGoal(r))
	}
	if err := c.s.Check(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Of many nodes some die and some drain while others join: it tells what a pass takes, and with -whole, which makes it a thousand
// nodes with a hundred thousand partitions, in how many passes all comes to rest.
func TestLargeCluster(t *testing.T) {
	nodes, partitions, passes := 100, 5_000, 2
	if *whole {
		nodes, partitions, passes = 1000, 100_000, 1000
	}
	c := largeCluster(t, nodes, partitions)
	c.limits.StepsAtOnce, c.limits.FillsAtOnce, c.limits.Transfers = nodes, 20, 2*nodes
	c.tick()
	for i := range nodes / 50 {
		id := c.s.Nodes[i*37].ID
		if i%2 == 0 {
			c.down[id] = time.Hour
		} else {
			c.edit(func(s *State) error { return s.SetStatus(id, Draining) })
		}
	}
	for range nodes / 20 {
		c.join("")
	}
	var slowest time.Duration
	for i := range passes {
		c.tick()
		r := c.reports()
		began := time.Now()
		steps := Plan(c.s, r, c.now, c.limits)
		slowest = max(slowest, time.Since(began))
		if len(steps) == 0 && c.inFlight() == 0 {
			c.checkEnd()
			t.Logf("at rest after %d passes: %v", i, c.made)
			break
		}
		c.do(steps)
	}
	began := time.Now()
	b := c.s.Encode()
	encoded := time.Since(began)
	if _, err := Decode(b); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d nodes, %d partitions: a pass takes up to %v; the state has %d bytes, encoded in %v, decoded in %v",
		len(c.s.Nodes), len(c.s.Ranges), slowest, len(b), encoded, time.Since(began)-encoded)
}
