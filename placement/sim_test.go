package placement

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"kahuna/fsm"
	"kahuna/op"
)

// cluster is a fake one: groups with leaders that reconcile, nodes that live, die and report, and a planner that is asked every
// few ticks. A tick is 20 s.
type cluster struct {
	t        testing.TB
	rnd      *rand.Rand
	s        *State
	limits   Limits
	down     map[string]time.Duration // nodes that are dead, and since when
	ids      []uint32
	groups   map[uint32]*fakeGroup
	terms    map[uint32]uint64
	made     map[string]int // steps, by their reasons
	joined   int
	now      op.Timestamp
	world    *world          // what is asked of the cluster; nil: nothing
	sick     map[string]bool // nodes on which new replicas never catch up
	changing int             // splits and merges in flight
	used     map[uint32]bool // ids of partitions that are or were
}

const tick = 20 * time.Second

func newCluster(t testing.TB, seed uint64, nodes, zones, partitions, replication int) *cluster {
	s, err := New("c", someNodes(nodes, zones), partitions, replication)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, rnd: rand.New(rand.NewPCG(seed, 2)), s: s, limits: DefaultLimits(), down: map[string]time.Duration{},
		groups: map[uint32]*fakeGroup{}, terms: map[uint32]uint64{}, made: map[string]int{}, sick: map[string]bool{}, used: map[uint32]bool{}}
	c.found(fsm.Meta, s.MetaGoal())
	for i := range s.Ranges {
		c.found(s.Ranges[i].ID, s.RangeGoal(&s.Ranges[i]))
	}
	return c
}

func (c *cluster) found(id uint32, goal Goal) {
	g := &fakeGroup{}
	for _, p := range goal.Voters {
		g.conf = append(g.conf, Member{ID: p.ID, Addr: p.Addr, Voter: true, CaughtUp: true, Live: true})
	}
	c.ids, c.groups[id] = append(c.ids, id), g
	c.used[id] = true
}

func (c *cluster) live(id string) bool { _, down := c.down[id]; return !down }

// tick lets some time pass: members catch up, leaders are elected and do what they are to.
func (c *cluster) tick() {
	c.now = c.now.Add(tick.Milliseconds())
	for id := range c.down {
		c.down[id] += tick
	}
	goals := map[uint32]Goal{fsm.Meta: c.s.MetaGoal()}
	for i := range c.s.Ranges {
		goals[c.s.Ranges[i].ID] = c.s.RangeGoal(&c.s.Ranges[i])
	}
	for _, id := range c.ids {
		g := c.groups[id]
		c.elect(id, g)
		if g.leader == "" {
			continue
		}
		for range 2 {
			if err := g.do(Reconcile(goals[id], g.leader, g.conf)); err != nil {
				c.t.Fatalf("group %d: %v: %+v, goal %+v", id, err, g, goals[id])
			}
			c.elect(id, g)
		}
		if g.measured += tick; g.measuring != g.leader {
			g.measuring, g.measured = g.leader, tick
		}
	}
	c.endChanges()
}

func (c *cluster) elect(id uint32, g *fakeGroup) {
	var able []string
	for i := range g.conf {
		m := &g.conf[i]
		m.Live = c.live(m.ID)
		m.CaughtUp = m.Live && (m.CaughtUp || !c.sick[m.ID] && c.rnd.IntN(2) == 0)
		if m.Voter && m.CaughtUp {
			able = append(able, m.ID)
		}
	}
	if m := g.at(g.leader); g.quorate() && m != nil && m.Voter && m.Live {
		return
	}
	g.leader = ""
	if g.quorate() && len(able) > 0 {
		g.leader = able[c.rnd.IntN(len(able))]
		c.terms[id]++
	}
}

func (c *cluster) reports() Reports {
	r := Reports{}
	for i := range c.s.Nodes {
		r[c.s.Nodes[i].ID] = NodeReport{Age: c.down[c.s.Nodes[i].ID]}
	}
	for _, id := range c.ids {
		g := c.groups[id]
		for _, m := range g.conf {
			if node, known := r[m.ID]; known && m.Live {
				node.Replicas = append(node.Replicas, ReplicaReport{Range: id, Leads: m.ID == g.leader, Term: c.terms[id], Members: g.conf})
				r[m.ID] = node
			}
		}
	}
	if c.world != nil {
		c.measure(r)
	}
	return r
}

// plan asks the planner and does what it says; it tells how many steps that were.
func (c *cluster) plan() int {
	r := c.reports()
	steps := Plan(c.s, r, c.now, c.limits)
	if again := Plan(c.s, r, c.now, c.limits); !reflect.DeepEqual(steps, again) {
		c.t.Fatalf("asked twice: %v, %v", steps, again)
	}
	c.do(steps)
	return len(steps)
}

func (c *cluster) do(steps []Step) {
	before := c.inFlight()
	next, err := Apply(c.s, steps, c.now)
	if err != nil {
		c.t.Fatal(err)
	}
	c.s = next
	if now := c.inFlight(); now > max(before, c.limits.StepsAtOnce) {
		c.t.Fatalf("%d ranges in flight: %v", now, steps)
	}
	places := c.s.places()
	changing := 0
	for i := range c.s.Changes {
		changing += number(c.s.Changes[i].Kind != SetReplicas)
	}
	if changing > max(c.limits.SplitsAtOnce, c.changing) {
		c.t.Fatalf("%d splits and merges in flight: %v", changing, steps)
	}
	c.changing = changing
	for _, step := range steps {
		c.made[step.Why]++
		if step.Kind == SetReplicas {
			c.judgeQuorum(step, c.s.Ranges[places[step.Range]].Replicas)
		}
		c.judge(step)
	}
}

// inFlight counts ranges whose members are not those that are wanted.
func (c *cluster) inFlight() (n int) {
	for i := range c.s.Ranges {
		if r := &c.s.Ranges[i]; c.groups[r.ID].quorate() && !c.groups[r.ID].reached(c.s.RangeGoal(r)) {
			n++
		}
	}
	return n
}

func (c *cluster) judge(step Step) {
	g := c.groups[step.Range]
	to := c.s.Node(step.To)
	if old := g.at(step.To); step.To != "" && (old == nil || !old.Voter) && (to.Status != Active || !c.live(step.To)) {
		c.t.Fatalf("%v: to a node that is %s", step, to.Status)
	}
	switch step.Kind {
	case SetMetaVoters:
		c.judgeQuorum(step, c.s.MetaVoters)
	case TransferLeader:
		if m := g.at(step.To); g.leader != step.From || !m.Voter || !m.CaughtUp {
			c.t.Fatalf("%v of %+v", step, g)
		}
		g.leader = step.To
		c.terms[step.Range]++
	case Forget:
		for _, id := range c.ids {
			if m := c.groups[id].at(step.From); m != nil && (m.Voter || id != fsm.Meta) {
				c.t.Fatalf("%v: it is a member of group %d", step, id)
			}
		}
	}
}

func (c *cluster) judgeQuorum(step Step, wanted []string) {
	live := 0
	for _, id := range wanted {
		live += number(c.live(id))
	}
	if live < quorum(len(wanted)) {
		c.t.Fatalf("%v: of %v, %d are live", step, wanted, live)
	}
}

// settle runs until there is nothing to do for a while, and tells in how many ticks.
func (c *cluster) settle() int {
	bound := 60 + 12*c.s.Replication*(len(c.s.Ranges)+len(c.s.Nodes))/min(c.limits.StepsAtOnce, c.limits.FillsAtOnce)
	for quiet, ticks := 0, 0; ; ticks++ {
		c.tick()
		if quiet++; c.plan() > 0 || c.inFlight() > 0 || !c.groups[fsm.Meta].reached(c.s.MetaGoal()) {
			quiet = 0
		}
		if quiet == 5 {
			return ticks
		}
		if ticks > bound {
			for i := range c.s.Ranges {
				if r := &c.s.Ranges[i]; !c.groups[r.ID].reached(c.s.RangeGoal(r)) {
					g := c.groups[r.ID]
					c.t.Logf("%+v is not %+v: %+v", g, r, Reconcile(c.s.RangeGoal(r), g.leader, g.conf))
				}
			}
			c.t.Logf("meta %+v is not %v, nodes %+v", c.groups[fsm.Meta], c.s.MetaGoal(), c.s.Nodes)
			c.t.Fatalf("no end after %d ticks, %v: %v", ticks, c.made, Plan(c.s, c.reports(), c.now, c.limits))
		}
	}
}

// counts gives the replicas and leaderships of each active live node.
func (c *cluster) counts() (replicas, leads map[string]int) {
	replicas, leads = map[string]int{}, map[string]int{}
	for i := range c.s.Nodes {
		if n := &c.s.Nodes[i]; n.Status == Active && c.live(n.ID) {
			replicas[n.ID], leads[n.ID] = 0, 0
		}
	}
	for i := range c.s.Ranges {
		for _, id := range c.s.Ranges[i].Replicas {
			replicas[id]++
		}
		leads[c.groups[c.s.Ranges[i].ID].leader]++
	}
	return replicas, leads
}

func spreadOf(counts map[string]int) (lowest, highest int) {
	first := true
	for _, n := range counts {
		if first {
			lowest, highest, first = n, n, false
		}
		lowest, highest = min(lowest, n), max(highest, n)
	}
	return lowest, highest
}

// checkEnd is what holds when a cluster has come to rest with all its nodes live.
func (c *cluster) checkEnd() {
	active := 0
	for i := range c.s.Nodes {
		active += number(c.s.Nodes[i].Status == Active)
		if n := &c.s.Nodes[i]; n.Status == Leaving || n.Status == Draining && c.s.groupsOf(n.ID) > 0 {
			c.t.Logf("meta %+v, group 1 %+v, range %+v, nodes %+v, RF %d, down %v", c.groups[fsm.Meta], c.groups[1], c.s.Ranges[0], c.s.Nodes, c.s.Replication, c.down)
			c.t.Fatalf("%s is %s and wanted by %d groups", n.ID, n.Status, c.s.groupsOf(n.ID))
		}
	}
	if want := odd(min(active, MaxMetaVoters)); len(c.s.MetaVoters) != want {
		c.t.Fatalf("%d meta voters, and not %d", len(c.s.MetaVoters), want)
	}
	for i := range c.s.Ranges {
		if r := &c.s.Ranges[i]; len(r.Replicas) != min(active, c.s.Replication) {
			c.t.Fatalf("range %d has the replicas %v of %d nodes", r.ID, r.Replicas, active)
		}
	}
	replicas, leads := c.counts()
	if lowest, highest := spreadOf(replicas); highest-lowest > max(1, highest*c.limits.SlackPct/100) {
		c.t.Fatalf("uneven replicas: %v", replicas)
	}
	if lowest, highest := spreadOf(leads); highest-lowest > 3+highest/3 {
		c.t.Fatalf("uneven leaders: %v", leads)
	}
}

// safeToLose tells whether every group would keep a live quorum without a node.
func (c *cluster) safeToLose(id string) bool {
	for _, g := range c.groups {
		voters, live := 0, 0
		for _, m := range g.conf {
			voters += number(m.Voter)
			live += number(m.Voter && m.ID != id && c.live(m.ID))
		}
		if live < quorum(voters) {
			return false
		}
	}
	return true
}

func (c *cluster) someNode(ok func(*Node) bool) string {
	for _, i := range c.rnd.Perm(len(c.s.Nodes)) {
		if ok(&c.s.Nodes[i]) {
			return c.s.Nodes[i].ID
		}
	}
	return ""
}

func (c *cluster) join(addr string) string {
	c.joined++
	id := fmt.Sprintf("m%02d", c.joined)
	if addr == "" {
		addr = "addr-" + id
	}
	c.edit(func(s *State) error {
		return s.Join(Node{ID: id, PeerAddr: addr, Zone: fmt.Sprintf("z%d", c.joined%3)})
	})
	return id
}

func (c *cluster) edit(change func(*State) error) {
	next := c.s.Clone()
	if err := errors.Join(change(next), next.Check()); err != nil {
		c.t.Fatal(err)
	}
	c.s = next
}

func (c *cluster) event() {
	switch c.rnd.IntN(9) {
	case 0, 1: // a node dies
		if id := c.someNode(func(n *Node) bool { return n.Status != Left && c.live(n.ID) && c.safeToLose(n.ID) }); id != "" {
			c.down[id] = 0
		}
	case 2, 3: // one comes back, unless it was replaced for good
		if id := c.someNode(func(n *Node) bool { return !c.live(n.ID) && n.Status < Leaving }); id != "" {
			delete(c.down, id)
		}
	case 4:
		c.join("")
	case 5: // one lost its disk
		if id := c.someNode(func(n *Node) bool { return !c.live(n.ID) && n.Status < Leaving }); id != "" {
			c.join(c.s.Node(id).PeerAddr)
		}
	case 6:
		id := c.someNode(func(n *Node) bool { return n.Status == Active })
		if id != "" && CanLeave(c.s, c.reports(), c.limits, id) == nil {
			c.edit(func(s *State) error { return s.SetStatus(id, []NodeStatus{Draining, Leaving}[c.rnd.IntN(2)]) })
		}
	case 7:
		if id := c.someNode(func(n *Node) bool { return n.Status == Draining }); id != "" {
			c.edit(func(s *State) error { return s.SetStatus(id, Active) })
		}
	case 8:
		c.edit(func(s *State) error { s.Replication = 1 + c.rnd.IntN(5); return nil })
	}
}

var seeds = flag.Int("seeds", 50, "how many clusters are simulated")

// Nodes die, come back, lose their disks, join, drain and leave. No group ever loses its quorum by what is planned, the bounds
// hold, and when all is calm the cluster comes to rest as it should be.
func TestSimulation(t *testing.T) {
	made := map[string]int{}
	for seed := range uint64(*seeds) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		nodes, partitions := 3+rnd.IntN(6), 1+rnd.IntN(40)
		c := newCluster(t, seed, nodes, rnd.IntN(2)*3, partitions, []int{1, 3, 3, 5}[rnd.IntN(4)])
		for range 60 {
			if c.rnd.IntN(3) == 0 {
				c.event()
			}
			c.tick()
			c.plan()
		}
		c.limits.SlackPct = 0
		for id := range c.down {
			if c.s.Node(id) != nil && c.s.Node(id).Status < Leaving {
				delete(c.down, id)
			}
		}
		c.s = c.s.Clone()
		for i := range c.s.Nodes {
			c.s.Nodes[i].Zone = "" // zones may be in the way of even counts
		}
		if c.settle(); !t.Failed() {
			c.checkEnd()
		}
		for range 10 {
			if c.tick(); c.plan() > 0 {
				t.Fatalf("seed %d: it does not rest", seed)
			}
		}
		for why, n := range c.made {
			made[why] += n
		}
	}
	for _, why := range []string{"its node is dead", "its node drains", "there are too few replicas", "there are too many replicas", "two replicas are in one zone",
		whyRedirect, "its node drains, and no other can take it over", "its node has more than others",
		"its node leads more than others", "there are too few voters", "there are too many voters",
		"it is leaving, and has nothing left"} {
		if made[why] == 0 {
			t.Errorf("in no run a step was made because %s: %v", why, made)
		}
	}
}
