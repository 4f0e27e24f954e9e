package placement

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"kahuna/op"
)

// loaded is a still cluster of which much is asked.
func loaded(t testing.TB, nodes, partitions int, w *world) *cluster {
	c := still(t, nodes, partitions, 3)
	c.world = w
	return c
}

// even asks as much of each slot.
func even(ops, bytes uint64) *world {
	return newWorld(4, func(int) (uint64, uint64) { return ops / (4 * op.Slots), bytes / (4 * op.Slots) })
}

// calm runs until nothing was planned for a while, and tells in how many ticks.
func (c *cluster) calm() int {
	for quiet, ticks := 0, 0; ; ticks++ {
		c.tick()
		if quiet++; c.plan() > 0 || len(c.s.Changes) > 0 {
			quiet = 0
		}
		if quiet == 10 {
			return ticks
		}
		if ticks > 2000 {
			c.t.Fatalf("no end: %v, now %v, %d ranges", c.made, Plan(c.s, c.reports(), c.now, c.limits), len(c.s.Ranges))
		}
	}
}

func (c *cluster) splits() string {
	var all []string
	for _, s := range Plan(c.s, c.reports(), c.now, c.limits) {
		if s.Kind == Split || s.Kind == Merge {
			all = append(all, s.String())
		}
	}
	return strings.Join(all, "; ")
}

// A range is split where its load is halved, when that has lasted; not for one name of which much is asked, not on one node, and not
// while it rests or is changed.
func TestSplitByLoad(t *testing.T) {
	const want = "split partition 1 at slot 8192 \"\" (it has much to do)"
	c := loaded(t, 3, 1, even(4<<16, 0))
	c.limits.SplitLoad = 1 << 16
	g := c.groups[1]
	g.measured = c.limits.SplitAfter - 1
	expect(t, "too early", c.splits(), "")
	g.measured++
	expect(t, "it has lasted", c.splits(), want)
	c.limits.SplitLoad = 0
	expect(t, "never", c.splits(), "")
	c.limits.SplitLoad = 4<<16 + 1
	expect(t, "not enough", c.splits(), "")
	c.limits.SplitLoad = 1 << 16
	c.limits.RangesPerNode = 0
	expect(t, "there are enough ranges", c.splits(), "")
	c.limits.RangesPerNode = 9
	c.limits.SplitsAtOnce = 0
	expect(t, "there are enough splits", c.splits(), "")
	c.limits.SplitsAtOnce = 1
	c.edit(func(s *State) error { s.cool(Cooldown{Range: 1, Until: c.now + 1}); return nil })
	expect(t, "it rests", c.splits(), "")
	c.now++
	expect(t, "it has rested", c.splits(), want)
	c.world = newWorld(4, func(i int) (uint64, uint64) { return uint64(number(i == 99)) << 20, 0 })
	expect(t, "one name", c.splits(), "")
	c.world = newWorld(4, func(i int) (uint64, uint64) { return uint64(number(i == 97 || i == 99)) << 20, 0 })
	if got := c.splits(); !strings.HasPrefix(got, "split partition 1 at slot 24 \"\\x0") {
		t.Errorf("inside of a slot: %s", got)
	}
	alone := loaded(t, 1, 1, even(4<<16, 0))
	alone.groups[1].measured = time.Hour
	expect(t, "there is one node", alone.splits(), "")
}

func TestSplitBySize(t *testing.T) {
	c := loaded(t, 1, 2, even(0, 4<<30))
	c.limits.SplitsAtOnce = 1
	expect(t, "one at once", c.splits(), "split partition 1 at slot 4096 \"\" (it is large)")
	c.limits.SplitBytes = 4 << 30
	expect(t, "small", c.splits(), "")
	c.limits.SplitBytes, c.limits.SplitsAtOnce = 1<<20, 9
	if got := strings.Count(c.splits(), "split"); got != 2 {
		t.Errorf("%d splits", got)
	}
	c.groups[1].measured = 0
	expect(t, "not measured yet", c.splits(), "split partition 2 at slot 12288 \"\" (it is large)")
}

// Neighbours are merged when both have been cold for long, on the same nodes, above the floor.
func TestMerge(t *testing.T) {
	c := loaded(t, 4, 8, even(0, 0))
	for _, id := range c.ids {
		c.groups[id].measured = c.limits.MergeAfter
	}
	expect(t, "as many as there were", c.splits(), "")
	c.s.Floor = 7
	expect(t, "on different nodes", c.splits(), "")
	if got := c.plans(); !strings.Contains(got, "partition 2: n00 -> n03 (it is to be merged") && !strings.Contains(got, "(it is to be merged with its neighbour)") {
		t.Errorf("its replicas do not come: %s", got)
	}
	c.limits.MergeAfter = 0
	expect(t, "never", c.plans(), "")
	c.limits.MergeAfter = time.Minute
	c.calm()
	if len(c.s.Ranges) != 7 {
		t.Errorf("%d ranges: %v", len(c.s.Ranges), c.made)
	}
	c.s.Floor = 1
	c.calm()
	if len(c.s.Ranges) != 4 {
		t.Errorf("%d ranges for 4 nodes: %v", len(c.s.Ranges), c.made)
	}
	for name, w := range map[string]*world{"loaded": even(8<<16, 0), "large": even(0, 1<<30)} {
		c := loaded(t, 4, 8, w)
		c.s.Floor, c.limits.SplitLoad = 1, 1<<18
		for _, id := range c.ids {
			c.groups[id].measured = time.Hour
		}
		expect(t, name, c.plans(), "")
	}
}

// What is not possible any more, or takes too long, is taken back.
func TestCancel(t *testing.T) {
	c := loaded(t, 4, 1, even(4<<16, 0))
	c.groups[1].measured = time.Hour
	c.do(Plan(c.s, c.reports(), c.now, c.limits))
	expect(t, "on its way", c.plans(), "")
	c.edit(func(s *State) error { return s.SetStatus("n02", Draining) })
	if got := c.plans(); !strings.Contains(got, "cancel partition 1 (a replica has to be replaced first)") || strings.Contains(got, "set replicas") {
		t.Error(got)
	}
	c.edit(func(s *State) error { return s.SetStatus("n02", Active) })
	c.now = c.now.Add(c.limits.ChangeWithin.Milliseconds() + 1)
	expect(t, "too long", c.plans(), "cancel partition 1 (it takes too long)")
	c.do(Plan(c.s, c.reports(), c.now, c.limits))
	expect(t, "once", c.plans(), "")
}

// A replica that never catches up on a live node goes back, and does not come there again for a while.
func TestStuckFillIsUndone(t *testing.T) {
	c := still(t, 3, 12, 3)
	c.sick["m01"] = true
	c.join("")
	c.s.Nodes[0].Zone = ""
	c.tick()
	c.plan()
	if len(c.s.Changes) == 0 {
		t.Fatal("nothing moves to the new node")
	}
	stuck := c.s.Changes[0]
	for began := c.now; c.now <= began.Add(c.limits.FillWithin.Milliseconds()); c.tick() {
		if c.plan(); !contains(c.s.FindRange(stuck.Range).Replicas, "m01") {
			t.Fatalf("it was given up after %v", c.made)
		}
	}
	c.tick()
	c.plan()
	r := c.s.FindRange(stuck.Range)
	if contains(r.Replicas, "m01") || !contains(r.Replicas, stuck.From) {
		t.Errorf("%v: it did not go back to %s", r.Replicas, stuck.From)
	}
	for range 20 {
		c.tick()
		c.plan()
		if contains(c.s.FindRange(stuck.Range).Replicas, "m01") {
			t.Fatal("it came again at once")
		}
	}
	c.sick = nil
	c.now = c.now.Add(c.limits.AvoidFor.Milliseconds())
	c.calm()
	c.checkEnd()
}

// Large copies wait for each other; small ones go at once.
func TestCopiesAreBounded(t *testing.T) {
	for _, test := range []struct {
		bytes uint64
		least int
		most  int
	}{{0, 24, 24}, {48 << 30, 1, 1}, {8 << 30, 1, 4}} {
		c := loaded(t, 3, 24, even(0, test.bytes))
		c.limits.SplitBytes, c.limits.StepsAtOnce = 0, 100
		c.limits.CopyBytesPerSec = 64 << 20
		c.down["n00"] = time.Hour
		for i := range 3 {
			c.join(fmt.Sprint("a", i))
		}
		c.tick()
		n := 0
		for _, s := range Plan(c.s, c.reports(), c.now, c.limits) {
			n += number(s.Kind == SetReplicas)
		}
		if n < test.least || n > test.most {
			t.Errorf("%d GB: %d copies begin", test.bytes>>30, n)
		}
	}
}

// Of two that are alike by count, the one that has more to do gives something away.
func TestBalanceByLoad(t *testing.T) {
	hot := newWorld(1, func(i int) (uint64, uint64) { return uint64(1 + 9*number(i < op.Slots/3)), 1 << 16 })
	c := loaded(t, 3, 30, hot)
	c.limits.SplitBytes, c.limits.SplitLoad = 0, 0
	c.calm()
	loads, bytes := map[string]uint64{}, map[string]uint64{}
	for i := range c.s.Ranges {
		r := &c.s.Ranges[i]
		from, to := hot.cell(r.From, false), hot.cell(r.To, true)
		loads[c.groups[r.ID].leader] += hot.load[to] - hot.load[from]
		for _, id := range r.Replicas {
			bytes[id] += hot.bytes[to] - hot.bytes[from]
		}
	}
	total := hot.load[hot.cells()]
	for id, load := range loads {
		if load > total*45/100 {
			t.Errorf("%s has %d of the load %d: %v", id, load, total, loads)
		}
	}
}

// The same, for what a node has to store: a few ranges are much larger than the others.
func TestBalanceBySize(t *testing.T) {
	large := newWorld(1, func(i int) (uint64, uint64) { return 0, 1<<16 + uint64(number(i < op.Slots/10))<<22 })
	c := loaded(t, 6, 60, large)
	c.limits.SplitBytes, c.limits.CopyBytesPerSec = 0, 1<<30
	c.calm()
	bytes := map[string]uint64{}
	for i := range c.s.Ranges {
		r := &c.s.Ranges[i]
		for _, id := range r.Replicas {
			bytes[id] += large.bytes[large.cell(r.To, true)] - large.bytes[large.cell(r.From, false)]
		}
	}
	share := 3 * large.bytes[large.cells()] / 6
	for id, n := range bytes {
		if n > share*3/2 || n < share/2 {
			t.Errorf("%s has %d bytes, its share is %d: %v", id, n, share, bytes)
		}
	}
}

// A node with a full disk gets nothing.
func TestFullDiskGetsNothing(t *testing.T) {
	c := still(t, 3, 12, 3)
	c.join("")
	c.tick()
	r := c.reports()
	full := r["m01"]
	full.DiskUsed, full.DiskFree = 90<<30, 10<<30
	r["m01"] = full
	expect(t, "full", texts(Plan(c.s, r, c.now, c.limits)), "")
	full.DiskUsed = 50 << 30
	r["m01"] = full
	if got := texts(Plan(c.s, r, c.now, c.limits)); !strings.Contains(got, "-> m01") {
		t.Errorf("not full: %s", got)
	}
}

// Nodes die, come back, join and drain, while the load comes, wanders and goes. Ids are never used twice and the map always tiles (judged
// with each edit), no quorum is lost and the bounds hold (judged with each plan). With the load, ranges are split until none has too much
// that can be halved; without it they are merged to as few as there were; and then nothing is done any more, however wrong measures are by
// some percent.
func TestSplittingSimulation(t *testing.T) {
	made := map[string]int{}
	for seed := range uint64(max(3, *seeds/16)) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		c := newCluster(t, seed, 4+rnd.IntN(5), rnd.IntN(2)*3, 1+rnd.IntN(12), []int{1, 3, 3, 5}[rnd.IntN(4)])
		c.limits.SplitLoad, c.limits.SplitBytes, c.limits.SplitsAtOnce = 1<<15, 1<<30, 4
		c.limits.MergeAfter = 3 * time.Minute
		for range 3 {
			from, width := rnd.IntN(4*op.Slots), op.Slots*(1+rnd.IntN(3))
			c.world = newWorld(4, func(i int) (uint64, uint64) {
				inside := number((i-from+4*op.Slots)%(4*op.Slots) < width)
				return uint64(inside * (16 + 1<<19*number(i%9999 == 0))), uint64(1 << 17 * (1 + 3*inside))
			})
			c.world.noisePct = 3
			for range 30 {
				if c.rnd.IntN(4) == 0 {
					c.event()
				}
				c.tick()
				c.plan()
			}
		}
		c.heal()
		c.calm()
		c.checkSplit()
		most := len(c.s.Ranges)
		c.world = newWorld(1, func(int) (uint64, uint64) { return 0, 1 })
		c.calm()
		if floor := max(c.s.Floor, len(c.takers())); len(c.s.Ranges) > max(floor, 3) || most <= floor {
			t.Errorf("seed %d: from %d to %d ranges, with a floor of %d: %s", seed, most, len(c.s.Ranges), floor, texts(Plan(c.s, c.reports(), c.now, c.limits)))
		}
		for why, n := range c.made {
			made[why] += n
		}
	}
	for _, why := range []string{"it is large", "it has much to do", "both are small and have little to do", "it is to be merged with its neighbour",
		"its node has more than others"} {
		if made[why] == 0 {
			t.Errorf("in no run a step was made because %s: %v", why, made)
		}
	}
}

// heal brings all nodes back that may come.
func (c *cluster) heal() {
	for id := range c.down {
		if n := c.s.Node(id); n != nil && n.Status < Leaving {
			delete(c.down, id)
		}
	}
}

func (c *cluster) takers() (ids []string) {
	for i := range c.s.Nodes {
		if n := &c.s.Nodes[i]; n.Status == Active && c.live(n.ID) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// checkSplit finds ranges that have too much and could be halved.
func (c *cluster) checkSplit() {
	for i := range c.s.Ranges {
		r := &c.s.Ranges[i]
		w := c.world
		from, to := w.cell(r.From, false), w.cell(r.To, true)
		if load := w.load[to] - w.load[from]; load > c.limits.SplitLoad*103/100 && inside(r, w.half(w.load, from, to)) && len(c.takers()) > 1 {
			c.t.Errorf("range %d has the load %d", r.ID, load)
		}
		if bytes := w.bytes[to] - w.bytes[from]; bytes > c.limits.SplitBytes && inside(r, w.half(w.bytes, from, to)) {
			c.t.Errorf("range %d has %d bytes", r.ID, bytes)
		}
	}
}
