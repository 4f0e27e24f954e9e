package placement

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kahuna/fsm"
)

// still is a cluster of nodes n00, n01, ... whose groups are settled and have leaders, to which a test does one thing.
func still(t testing.TB, nodes, partitions, replication int) *cluster {
	c := newCluster(t, 7, nodes, 0, partitions, replication)
	c.settle()
	return c
}

func (c *cluster) plans() string { return texts(Plan(c.s, c.reports(), c.now, c.limits)) }

func texts(steps []Step) string {
	var all []string
	for _, step := range steps {
		all = append(all, step.String())
	}
	return strings.Join(all, "; ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestStillClusterIsLeftAlone(t *testing.T) {
	for nodes := 1; nodes < 8; nodes++ {
		expect(t, fmt.Sprint(nodes), still(t, nodes, 2*nodes, 3).plans(), "")
	}
}

func TestDeadNodeIsReplaced(t *testing.T) {
	c := still(t, 4, 1, 3)
	const want = "set replicas of partition 1: n02 -> n03 (its node is dead)"
	const vote = "set meta voters: n02 -> n03 (its node is dead); "
	c.down["n02"] = 0
	c.tick()
	c.down["n02"] = c.limits.DeadAfter - 1
	expect(t, "before the time", c.plans(), "")
	c.down["n02"]++
	expect(t, "after it", c.plans(), vote+want)
	r := c.reports()
	delete(r, "n02")
	expect(t, "never heard of", texts(Plan(c.s, r, c.now, c.limits)), "")
	c.down["n03"] = time.Minute
	expect(t, "the other is silent", c.plans(), "")
	delete(c.down, "n03")
	c.edit(func(s *State) error { return s.SetStatus("n03", Draining) })
	expect(t, "the other drains", c.plans(), "")
	c.edit(func(s *State) error { return s.SetStatus("n03", Active) })
	c.groups[1].leader = ""
	expect(t, "no leader", c.plans(), strings.TrimSuffix(vote, "; "))
	c.groups[1].leader, c.down["n01"] = "n00", time.Minute
	c.groups[1].at("n01").Live, c.groups[fsm.Meta].at("n01").Live = false, false
	expect(t, "no quorum", c.plans(), "")
}

// What an old leader says, or a node that is not heard of, is not believed; a leader is believed before others.
func TestOldReportsAreNotBelieved(t *testing.T) {
	s, limits := newState(t, 5, 1, 3), DefaultLimits()
	say := func(leads bool, term, applied uint64) NodeReport {
		return NodeReport{Replicas: []ReplicaReport{{Range: 1, Leads: leads, Term: term, Applied: applied}}}
	}
	silent, unheard := say(true, 9, 9), say(true, 9, 9)
	silent.Age, unheard.Unheard = limits.LiveWithin+1, true
	r := Reports{"n00": say(true, 5, 7), "n01": say(true, 6, 6), "n02": say(false, 7, 9), "n03": silent, "n04": unheard, "who": say(true, 9, 9)}
	if got := best(s, r, limits)[1].node; got != 1 {
		t.Errorf("the report of n%02d is taken", got)
	}
	r["n00"], r["n01"] = say(false, 7, 8), say(false, 6, 20)
	if got := best(s, r, limits)[1].node; got != 2 {
		t.Errorf("the report of n%02d is taken", got)
	}
	v := newView(s, r, 0, limits)
	if v.nodes[3].live || v.nodes[4].live || !v.nodes[2].live {
		t.Errorf("%+v", v.nodes)
	}
}

// A replica that was to go to a node that died or drains goes back, or nowhere if the others are enough.
func TestReplicaGoesBack(t *testing.T) {
	c := still(t, 6, 1, 3)
	c.s = c.s.Clone()
	c.s.Ranges[0].Replicas = []string{"n00", "n01", "n05"}
	expect(t, "on its way", c.plans(), "")
	c.edit(func(s *State) error { return s.SetStatus("n05", Draining) })
	expect(t, "it drains", c.plans(), "set replicas of partition 1: n05 -> n02 ("+whyRedirect+")")
	c = still(t, 4, 1, 3)
	c.s = c.s.Clone()
	c.s.MetaVoters, c.s.Ranges[0].Replicas = []string{"n00"}, []string{"n00", "n01", "n03"}
	for _, id := range []string{"n02", "n03"} {
		c.edit(func(s *State) error { return s.SetStatus(id, Draining) })
	}
	if got := c.plans(); !strings.Contains(got, "set replicas of partition 1: n03 -> none ("+whyRedirect) {
		t.Error(got)
	}
}

// Two nodes with one address are never to be in one group: Raft refuses that.
func TestAddressesDoNotMeet(t *testing.T) {
	c := still(t, 5, 1, 5)
	c.down["n03"], c.down["n04"] = time.Hour, time.Hour
	c.edit(func(s *State) error { return s.Join(Node{ID: "new", PeerAddr: s.Node("n04").PeerAddr}) })
	c.tick()
	if got := c.plans(); !strings.Contains(got, "voters: n04 -> new") || !strings.Contains(got, "partition 1: n04 -> new") {
		t.Error(got)
	}
}

// A node that drains waits for its replicas and its vote as long as those that are left would have no live quorum.
func TestDrainKeepsTheQuorum(t *testing.T) {
	c := still(t, 3, 1, 3)
	c.groups[1].leader, c.groups[fsm.Meta].leader = "n00", "n00"
	c.down["n01"] = c.limits.LiveWithin + 1
	c.edit(func(s *State) error { return s.SetStatus("n02", Draining) })
	c.groups[1].at("n01").Live, c.groups[fsm.Meta].at("n01").Live = false, false
	expect(t, "while another is silent", c.plans(), "")
	delete(c.down, "n01")
	c.groups[1].at("n01").Live, c.groups[fsm.Meta].at("n01").Live = true, true
	const none = "n02 -> none"
	if got := c.plans(); strings.Count(got, none) != 2 {
		t.Error(got)
	}
}

// As long as replicas can be in different zones they are, also when nodes join and counts are to be even.
func TestZonesStayApart(t *testing.T) {
	c := newCluster(t, 3, 6, 3, 30, 3)
	for range 4 {
		c.edit(func(s *State) error {
			id := fmt.Sprintf("m%d", len(s.Nodes))
			return s.Join(Node{ID: id, PeerAddr: id, Zone: "z1"})
		})
		c.settle()
	}
	for _, r := range c.s.Ranges {
		zones := map[string]bool{}
		for _, id := range r.Replicas {
			zones[c.s.Node(id).Zone] = true
		}
		if len(zones) != 3 {
			t.Errorf("range %d: %v", r.ID, r.Replicas)
		}
	}
	if replicas, _ := c.counts(); replicas["m6"] == 0 {
		t.Error("those that joined have nothing", replicas)
	}
	if n := c.made["two replicas are in one zone"]; n > 0 {
		t.Errorf("%d times two replicas came into one zone", n)
	}
}

// A node that is leaving is not forgotten while a group that nobody leads might have it.
func TestForgetWaitsForEveryLeader(t *testing.T) {
	c := still(t, 5, 2, 1)
	c.s = c.s.Clone()
	c.s.MetaVoters = []string{"n00", "n01", "n02"}
	for range 10 {
		c.tick()
	}
	c.edit(func(s *State) error { return s.SetStatus("n04", Leaving) })
	c.down["n04"] = time.Hour
	c.tick()
	leader := c.groups[1].leader
	c.groups[1].leader = ""
	expect(t, "partition 1 has no leader", c.plans(), "")
	c.groups[1].leader = leader
	expect(t, "it has one", c.plans(), "forget n04 (it is leaving, and has nothing left)")
}

func TestStepsAtOnce(t *testing.T) {
	c := still(t, 6, 40, 3)
	c.limits.StepsAtOnce, c.limits.FillsAtOnce = 3, 100
	c.down["n00"] = time.Hour
	c.tick()
	steps := func() int { return strings.Count(c.plans(), "set replicas") }
	if n := steps(); n != 3 {
		t.Errorf("%d steps", n)
	}
	c.do(Plan(c.s, c.reports(), c.now, c.limits))
	if n := steps(); n != 0 {
		t.Errorf("%d steps with three in flight: %s", n, c.plans())
	}
	c.tick()
	c.limits.StepsAtOnce, c.limits.FillsAtOnce = 100, 1
	if n := steps(); n > 5 {
		t.Errorf("%d steps to five nodes that may receive one each", n)
	}
}

// The replica of the range that can lose the fewest nodes goes first.
func TestMostUrgentFirst(t *testing.T) {
	c := still(t, 7, 7, 5)
	c.limits.StepsAtOnce = 1
	c.down["n00"], c.down["n01"] = time.Hour, time.Minute
	c.tick()
	first := Plan(c.s, c.reports(), c.now, c.limits)
	for _, step := range first {
		if r := c.s.FindRange(step.Range); step.Kind == SetReplicas && !contains(r.Replicas, "n01") {
			t.Errorf("%v: %v can lose more", step, r.Replicas)
		}
	}
	if len(first) == 0 {
		t.Error("nothing was planned")
	}
}

func TestLeadersGoToWhoCaughtUp(t *testing.T) {
	c := still(t, 3, 1, 3)
	c.groups[fsm.Meta].leader, c.groups[1].leader = "n00", "n01"
	c.edit(func(s *State) error { return s.SetStatus("n01", Draining) })
	c.groups[1].at("n00").CaughtUp = false
	if got := c.plans(); !strings.Contains(got, "transfer leader of partition 1: n01 -> n02 (its node drains)") {
		t.Error(got)
	}
	c.groups[1].at("n02").CaughtUp = false
	if got := c.plans(); strings.Contains(got, "transfer") {
		t.Error(got)
	}
}

// As long as some leaders are not known, counts are no reason to move others: those may have moved to where too few seem to be.
func TestUnknownLeadersDelayBalance(t *testing.T) {
	c := still(t, 3, 9, 3)
	for _, id := range c.ids[1:] {
		c.groups[id].leader = "n00"
	}
	if got := c.plans(); strings.Count(got, "its node leads more than others") != 6 {
		t.Error(got)
	}
	for _, id := range c.ids[1:7] {
		c.groups[id].leader = ""
	}
	expect(t, "six may be anywhere", c.plans(), "")
}

// A vote that was to go to a node that died on the way goes back.
func TestVoteGoesBack(t *testing.T) {
	c := still(t, 4, 1, 1)
	c.s = c.s.Clone()
	c.s.MetaVoters = []string{"n00", "n01", "n03"}
	expect(t, "on its way", c.plans(), "")
	c.down["n03"] = time.Hour
	if got := c.plans(); !strings.HasPrefix(got, "set meta voters: n03 -> n02 ("+whyRedirect) {
		t.Error(got)
	}
}

// A node that joins gets its share and not more is moved than that.
func TestJoinMovesItsShare(t *testing.T) {
	for _, nodes := range []int{3, 5, 20} {
		c := newCluster(t, 3, nodes, 0, 30, 3)
		c.settle()
		before := c.made["its node has more than others"]
		c.edit(func(s *State) error { return s.Join(Node{ID: "m", PeerAddr: "m"}) })
		c.settle()
		c.checkEnd()
		moved, share := c.made["its node has more than others"]-before, 90/(nodes+1)
		if moved > share || moved < share-2 {
			t.Errorf("%d nodes: %d moves for a share of %d", nodes, moved, share)
		}
	}
}

func TestCanLeave(t *testing.T) {
	for _, test := range []struct {
		name        string
		nodes       int
		replication int
		change      func(c *cluster)
		node        string
		want        string
	}{
		{"one of three", 3, 3, nil, "n00", ""},
		{"one of one", 1, 3, nil, "n00", "no other node could keep partition 1"},
		{"the only copy", 3, 1, nil, "n00", ""},
		{"nobody", 3, 3, nil, "who", "no such node"},
		{"a second is down", 3, 3, func(c *cluster) { c.down["n01"] = 0 }, "n00", "partition 1 would have 1 of 2 voters live"},
		{"a spare helps", 4, 3, func(c *cluster) { c.down["n01"] = 0 }, "n00", ""},
		{"a dead one", 3, 3, func(c *cluster) { c.down["n01"] = 0 }, "n01", ""},
		{"without a quorum", 3, 3, func(c *cluster) { c.down["n01"], c.down["n02"] = 0, 0 }, "n00", "partition 1 has no known leader"},
		{"all others drain", 3, 3, func(c *cluster) {
			c.edit(func(s *State) error { return errors.Join(s.SetStatus("n01", Draining), s.SetStatus("n02", Draining)) })
		}, "n00", "no other node could keep"},
		{"it has left", 5, 1, func(c *cluster) {
			c.s.MetaVoters, c.groups[fsm.Meta] = []string{"n00"}, &fakeGroup{}
			c.edit(func(s *State) error { return s.Leave("n04") })
		}, "n04", ""},
	} {
		c := still(t, test.nodes, 1, test.replication)
		if test.change != nil {
			test.change(c)
		}
		c.tick()
		err := CanLeave(c.s, c.reports(), c.limits, test.node)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestDrainedTellsHowFar(t *testing.T) {
	c := still(t, 4, 12, 3)
	done, total := Drained(c.s, c.reports(), c.limits, "n00")
	if done != 0 || total != 10 {
		t.Errorf("before: %d of %d", done, total)
	}
	c.edit(func(s *State) error { return s.SetStatus("n00", Leaving) })
	for last := -1; c.s.Node("n00").Status == Leaving; {
		done, total := Drained(c.s, c.reports(), c.limits, "n00")
		if done < last || total != 10 {
			t.Fatalf("%d of %d after %d", done, total, last)
		}
		last = done
		c.tick()
		c.plan()
	}
	if done, total := Drained(c.s, c.reports(), c.limits, "who"); done != 0 || total != 0 {
		t.Error(done, total)
	}
}

// An edit that was planned for another State is refused as a whole.
func TestApplyRefusesWhatDoesNotFit(t *testing.T) {
	s := newState(t, 4, 2, 3)
	for _, step := range []Step{{Kind: SetReplicas, Range: 9, To: "n03"}, {Kind: SetReplicas, Range: 1, From: "n03", To: "n00"},
		{Kind: SetReplicas, Range: 1, To: "n00"}, {Kind: SetReplicas, Range: 1, To: "who"}, {Kind: SetMetaVoters, From: "n03"},
		{Kind: Forget, From: "n00"}, {}} {
		if next, err := Apply(s, []Step{{Kind: SetReplicas, Range: 2, From: "n01", To: "n00"}, step}, 1); err == nil {
			t.Errorf("%v: %+v", step, next)
		}
	}
	next, err := Apply(s, []Step{{Kind: TransferLeader, Range: 1, To: "n00"}}, 1)
	if err != nil || next != s {
		t.Error("an order is no edit", err)
	}
	next, err = Apply(s, []Step{{Kind: SetReplicas, Range: 1, From: "n01", To: "n03"}}, 1)
	if err != nil || fmt.Sprint(next.Ranges[0].Replicas) != "[n00 n02 n03]" || next.Ranges[0].Born != nil || s.Ranges[0].Born == nil {
		t.Errorf("%+v, %v", next, err)
	}
}
