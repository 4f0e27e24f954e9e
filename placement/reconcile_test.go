package placement

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// someMembers reads a configuration: a name for each member; upper case: it votes; then "+" when it is live and caught up, "~"
// when it is live, "-" when it is dead. An address follows in brackets when it is not the usual one.
func someMembers(text string) (conf []Member) {
	for _, word := range strings.Fields(text) {
		word, addr, _ := strings.Cut(strings.TrimSuffix(word, ")"), "(")
		name, state := word[:1], word[1:]
		id := strings.ToLower(name)
		if addr == "" {
			addr = "addr-" + id
		}
		conf = append(conf, Member{ID: id, Addr: addr, Voter: name != id, Live: state != "-", CaughtUp: state == "+"})
	}
	return conf
}

func someGoal(text string) (g Goal) {
	for _, name := range strings.Fields(text) {
		id := strings.ToLower(name)
		if p := (Peer{id, "addr-" + id}); name != id {
			g.Voters = append(g.Voters, p)
		} else {
			g.Nonvoters = append(g.Nonvoters, p)
		}
	}
	return g
}

func TestReconcile(t *testing.T) {
	for _, test := range []struct{ name, goal, self, conf, want string }{
		{"as it should be", "A B C", "a", "A+ B+ C+", "nothing: "},
		{"a dead one that is wanted stays", "A B C", "a", "A+ B+ C-", "nothing: "},
		{"a new one follows first", "A B D", "a", "A+ B+ C+", "add non-voter d: it is to get a replica"},
		{"and catches up", "A B D", "a", "A+ B+ C+ d~", "nothing: d is to vote and has not caught up"},
		{"while it is dead, all wait", "A B D", "a", "A+ B+ C+ d-", "nothing: d is to vote and does not answer"},
		{"and gets the vote", "A B D", "a", "A+ B+ C+ d+", "add voter d: it has caught up"},
		{"then the old one goes", "A B D", "a", "A+ B+ C+ D+", "remove c: it is not wanted"},
		{"a dead one goes when its replacement is ready", "A B D", "a", "A+ B+ C- d+", "remove c: it is not wanted"},
		{"and not before", "A B D", "a", "A+ B+ C- d~", "nothing: d is to vote and has not caught up"},
		{"a dead surplus one", "A B", "a", "A+ B+ C-", "remove c: it is not wanted"},
		{"a live surplus one is needed for the quorum", "A B", "a", "A+ B- C+", "nothing: without c there would be no live quorum"},
		{"nothing goes without a quorum", "A B", "a", "A+ B- C-", "nothing: without c there would be no live quorum"},
		{"addresses are passed on in order", "A B C", "a", "A+ B+(else) C+(addr-b)", "add voter c: it has a new address"},
		{"no vote without a quorum", "A B C D", "a", "A+ B- C- d+", "nothing: d would not make a live quorum"},
		{"a leader hands over before it goes", "A B D", "c", "A+ B+ C+ D+", "transfer a: the leader is not to stay a member"},
		{"to one that has caught up", "A B D", "c", "A~ B- C+ D+", "transfer d: the leader is not to stay a member"},
		{"or stays", "A", "c", "A~ C+", "nothing: no wanted voter can take over the leadership"},
		{"a surplus follower", "A B C", "a", "A+ B+ C+ d-", "remove d: it is not wanted, and has no vote"},
		{"before others are added", "A B E", "a", "A+ B+ C+ d-", "remove d: it is not wanted, and has no vote"},
		{"a new address", "A B C", "a", "A+ B+(else) C+", "add voter b: it has a new address"},
		{"a follower's new address", "A b", "a", "A+ b+(else)", "add non-voter b: it has a new address"},
		{"an address that changed hands", "A B D", "a", "A+ B+ C-(addr-d)", "remove c: its address is another node's now"},
		{"but not the quorum", "A B D", "a", "A+ B- C-(addr-d)", "nothing: d can't be added: another member has its address"},
		{"and not from a wanted one", "A B C D", "a", "A+ B+ C-(addr-d)", "add voter c: it has a new address"},
		{"followers of meta", "A B C d e", "a", "A+ B+ C+ d+", "add non-voter e: it is to get a replica"},
		{"a vote of meta moves", "A B d", "a", "A+ B+ D+", "demote d: it is to follow without a vote"},
		{"a dead voter of meta", "A B E d", "a", "A+ B+ D- e+", "demote d: it is to follow without a vote"},
		{"the leader's vote moves", "A B d", "d", "A+ B+ D+", "transfer a: the leader is not to stay a member"},
		{"an empty goal", "", "a", "A+ B+", "nothing: no wanted voter can take over the leadership"},
		{"one grows to two", "A B", "a", "A+ b+", "add voter b: it has caught up"},
	} {
		a := Reconcile(someGoal(test.goal), test.self, someMembers(test.conf))
		got := a.Kind.String()
		if a.Kind != Nothing {
			got += " " + a.Peer.ID
		}
		if got += ": " + a.Why; got != test.want {
			t.Errorf("%s: %s of %s: %s, want %s", test.name, test.goal, test.conf, got, test.want)
		}
	}
}

// fakeGroup is a group to which actions are done.
type fakeGroup struct {
	leader string
	conf   []Member

	measuring string // the leader that measures the load
	measured  time.Duration
}

func (g *fakeGroup) at(id string) *Member {
	for i := range g.conf {
		if g.conf[i].ID == id {
			return &g.conf[i]
		}
	}
	return nil
}

func (g *fakeGroup) quorate() bool {
	voters, live := 0, 0
	for _, m := range g.conf {
		if m.Voter {
			voters++
			if m.Live {
				live++
			}
		}
	}
	return live >= quorum(voters)
}

// do does an action as Raft would, and tells what is against it.
func (g *fakeGroup) do(a Action) error {
	m, before := g.at(a.Peer.ID), g.liveVoters()
	switch a.Kind {
	case AddNonvoter, AddVoter:
		for _, other := range g.conf {
			if other.ID != a.Peer.ID && other.Addr == a.Peer.Addr {
				return fmt.Errorf("%s and %s with one address", other.ID, a.Peer.ID)
			}
		}
		if m == nil {
			if a.Kind == AddVoter {
				return fmt.Errorf("%s gets a vote and is no member", a.Peer.ID)
			}
			g.conf = append(g.conf, Member{ID: a.Peer.ID, Live: true})
			m = g.at(a.Peer.ID)
		}
		if a.Kind == AddVoter && !m.Voter && !m.CaughtUp {
			return fmt.Errorf("%s gets a vote and has not caught up", m.ID)
		}
		m.Addr, m.Voter = a.Peer.Addr, m.Voter || a.Kind == AddVoter
	case Demote, Remove:
		if m == nil || a.Peer.ID == g.leader {
			return fmt.Errorf("%v of the leader, or of nobody", a)
		}
		m.Voter = false
		if a.Kind == Remove {
			g.remove(a.Peer.ID)
		}
	case Transfer:
		if m == nil || !m.Voter || !m.CaughtUp || !m.Live {
			return fmt.Errorf("%v to %+v", a, m)
		}
		g.leader = m.ID
	}
	if before > 0 && !g.quorate() {
		return fmt.Errorf("%v: no live quorum is left", a)
	}
	return nil
}

func (g *fakeGroup) liveVoters() (n int) {
	for _, m := range g.conf {
		if m.Voter && m.Live {
			n++
		}
	}
	return n
}

func (g *fakeGroup) remove(id string) {
	for i := range g.conf {
		if g.conf[i].ID == id {
			g.conf = append(g.conf[:i], g.conf[i+1:]...)
			return
		}
	}
}

func (g *fakeGroup) reached(goal Goal) bool {
	if len(g.conf) != len(goal.Voters)+len(goal.Nonvoters) {
		return false
	}
	for _, m := range g.conf {
		peers := goal.Nonvoters
		if m.Voter {
			peers = goal.Voters
		}
		if p, ok := find(peers, m.ID); !ok || p.Addr != m.Addr {
			return false
		}
	}
	return true
}

func someIDs(rnd *rand.Rand, n int) (ids []string) {
	for _, i := range rnd.Perm(8)[:n] {
		ids = append(ids, string(rune('a'+i)))
	}
	return ids
}

func someRandomGoal(rnd *rand.Rand, addrs map[string]string) (g Goal) {
	ids := someIDs(rnd, 1+rnd.IntN(7))
	votes := 1 + rnd.IntN(min(5, len(ids)))
	for i, id := range ids {
		if p := (Peer{id, addrs[id]}); i < votes {
			g.Voters = append(g.Voters, p)
		} else if rnd.IntN(2) == 0 {
			g.Nonvoters = append(g.Nonvoters, p)
		}
	}
	return g
}

// disturb lets members die, come back, catch up, fall behind, move house, or lead; never is a live quorum lost by it, as that is
// not for Reconcile to hold.
func (g *fakeGroup) disturb(rnd *rand.Rand, addrs map[string]string) {
	m := &g.conf[rnd.IntN(len(g.conf))]
	switch was := *m; rnd.IntN(8) {
	case 0:
		m.Live = false
		if !g.quorate() || m.ID == g.leader {
			*m = was
		}
	case 1, 2:
		m.Live = true
	case 3, 4:
		m.CaughtUp = m.Live
	case 5:
		m.CaughtUp = m.ID == g.leader
	case 6:
		if m.Voter && m.Live && m.CaughtUp {
			g.leader = m.ID
		}
	case 7:
		addrs[m.ID] += "'"
	}
}

// Whatever happens, no action loses a live quorum; when things calm down and the wanted nodes are live, the goal is reached.
func TestReconcileConverges(t *testing.T) {
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		addrs := map[string]string{}
		for _, id := range someIDs(rnd, 8) {
			addrs[id] = "addr-" + id
		}
		g := &fakeGroup{leader: "a", conf: []Member{{ID: "a", Addr: addrs["a"], Voter: true, CaughtUp: true, Live: true}}}
		goal := someRandomGoal(rnd, addrs)
		for range 60 {
			if rnd.IntN(10) == 0 {
				goal = someRandomGoal(rnd, addrs)
			}
			g.disturb(rnd, addrs)
			if err := g.do(Reconcile(goal, g.leader, g.conf)); err != nil {
				t.Fatalf("seed %d: %v; %+v", seed, err, g)
			}
		}
		goal = someRandomGoal(rnd, addrs)
		for range 60 {
			for i := range g.conf {
				if m := &g.conf[i]; m.Live || wantedBy(goal, m.ID) {
					m.Live, m.CaughtUp = true, true
				}
			}
			a := Reconcile(goal, g.leader, g.conf)
			if err := g.do(a); err != nil {
				t.Fatalf("seed %d: %v; %+v", seed, err, g)
			}
			if a.Kind == Nothing && (a.Why != "" || !g.reached(goal)) {
				t.Fatalf("seed %d: %+v of %+v; goal %+v", seed, a, g, goal)
			}
		}
		if !g.reached(goal) {
			t.Fatalf("seed %d: %+v is not the goal %+v", seed, g, goal)
		}
	}
}

func wantedBy(g Goal, id string) bool {
	_, votes := find(g.Voters, id)
	_, follows := find(g.Nonvoters, id)
	return votes || follows
}

func TestMetaGoal(t *testing.T) {
	s := newState(t, 5, 1, 3)
	s.MetaVoters = []string{"n00", "n01", "n02"}
	for _, n := range []Node{{ID: "n09", PeerAddr: s.Nodes[3].PeerAddr}, {ID: "n10", PeerAddr: "x"}} {
		if err := s.Join(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Leave("n10"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.MetaGoal()); got != "{[{n00 10.0.0.0:7000} {n01 10.0.0.1:7000} {n02 10.0.0.2:7000}] [{n04 10.0.0.4:7000} {n09 10.0.0.3:7000}]}" {
		t.Error(got)
	}
	if got := fmt.Sprint(s.RangeGoal(&s.Ranges[0])); got != "{[{n00 10.0.0.0:7000} {n01 10.0.0.1:7000} {n02 10.0.0.2:7000}] []}" {
		t.Error(got)
	}
}
