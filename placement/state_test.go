package placement

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"kahuna/fsm"
	"kahuna/op"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/state.golden anew")

// someNodes makes nodes n00, n01, ... in zones by turns.
func someNodes(n, zones int) (nodes []Node) {
	for i := range n {
		node := Node{ID: fmt.Sprintf("n%02d", i), Name: fmt.Sprintf("node %d", i), PeerAddr: fmt.Sprintf("10.0.0.%d:7000", i), Status: Active}
		if zones > 0 {
			node.Zone = fmt.Sprintf("z%d", i%zones)
		}
		nodes = append(nodes, node)
	}
	return nodes
}

func newState(t testing.TB, nodes, partitions, replication int) *State {
	t.Helper()
	s, err := New("c", someNodes(nodes, 0), partitions, replication)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNew(t *testing.T) {
	for _, test := range []struct{ nodes, zones, partitions, replication, voters int }{
		{1, 0, 1, 3, 1}, {2, 0, 4, 3, 1}, {3, 3, 16, 3, 3}, {4, 2, 7, 3, 3}, {9, 3, 90, 3, 5}, {5, 0, 1024, 5, 5}, {6, 3, op.Slots, 1, 5},
	} {
		s, err := New("c", someNodes(test.nodes, test.zones), test.partitions, test.replication)
		if err != nil {
			t.Fatal(test, err)
		}
		if len(s.MetaVoters) != test.voters {
			t.Errorf("%+v: meta voters %v", test, s.MetaVoters)
		}
		count, want := map[string]int{}, min(test.nodes, test.replication)
		for _, r := range s.Ranges {
			zones := map[string]bool{}
			for _, id := range r.Replicas {
				count[id]++
				zones[s.Node(id).Zone] = true
			}
			if len(r.Replicas) != want || !reflect.DeepEqual(r.Replicas, r.Born) || test.zones > 0 && len(zones) != min(want, test.zones) {
				t.Fatalf("%+v: range %+v", test, r)
			}
		}
		for id, n := range count {
			if n < test.partitions*want/test.nodes || n > (test.partitions*want+test.nodes-1)/test.nodes+want {
				t.Errorf("%+v: %s has %d replicas", test, id, n)
			}
		}
		again, err := Decode(s.Encode())
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	}
	for _, test := range []struct{ nodes, partitions, replication int }{{0, 1, 1}, {3, 0, 3}, {3, op.Slots + 1, 3}, {3, 1, 0}, {3, 1, MaxReplicas + 1}} {
		if _, err := New("c", someNodes(test.nodes, 0), test.partitions, test.replication); err == nil {
			t.Errorf("%+v was taken", test)
		}
	}
}

func TestFindGivesTheOwner(t *testing.T) {
	s := newState(t, 3, 7, 3)
	for i := range 1000 {
		name := fmt.Appendf(nil, "name-%d", i)
		r := s.Find(name)
		if owner := (fsm.State{From: r.From, To: r.To}); !owner.Owns(name) || s.FindRange(r.ID) != r {
			t.Fatalf("%s was sent to range %+v", name, r)
		}
	}
	if s.FindRange(8) != nil || s.Node("n") != nil || s.Node("n02").Name != "node 2" {
		t.Error("what is not there was found, or not what is there")
	}
}

// Parts of a span tile it, and each lies in one range.
func TestParts(t *testing.T) {
	s := newState(t, 1, 5, 1)
	at := func() op.Position {
		p := op.Position{Slot: uint16(rand.IntN(op.Slots))}
		if rand.IntN(2) == 0 {
			p.Name = []byte{byte(rand.IntN(256))}
		}
		return p
	}
	for range 1000 {
		from, to := at(), at()
		if fsm.Compare(from, to) >= 0 {
			to = op.Position{}
		}
		place := from
		for _, p := range s.Parts(from, to) {
			if r := s.FindAt(p.From); fsm.Compare(p.From, place) != 0 || r.ID != p.ID ||
				!fsm.IsEnd(r.To) && (fsm.IsEnd(p.To) || fsm.Compare(p.To, r.To) > 0) {
				t.Fatalf("part %v of %v..%v", p, from, to)
			}
			place = p.To
		}
		if fsm.Compare(place, to) != 0 {
			t.Fatalf("the parts of %v..%v end at %v", from, to, place)
		}
	}
}

// Each of these breaks one rule, and is refused.
func TestCheckRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxTextBytes+1)
	for name, change := range map[string]func(s *State){
		"no cluster id":       func(s *State) { s.ClusterID = "" },
		"no replication":      func(s *State) { s.Replication = 0 },
		"much replication":    func(s *State) { s.Replication = MaxReplicas + 1 },
		"long text":           func(s *State) { s.Nodes[0].Zone = long },
		"node order":          func(s *State) { s.Nodes[0], s.Nodes[1] = s.Nodes[1], s.Nodes[0] },
		"node twice":          func(s *State) { s.Nodes[1] = s.Nodes[0] },
		"node without id":     func(s *State) { s.Nodes = append([]Node{{Status: Active}}, s.Nodes...) },
		"no status":           func(s *State) { s.Nodes[4].Status = 0 },
		"unknown status":      func(s *State) { s.Nodes[4].Status = Left + 1 },
		"too much to relieve": func(s *State) { s.Nodes[5].Relieve = MaxRanges + 2 },
		"left without order":  func(s *State) { s.Nodes[5].Status = Left },
		"order without left":  func(s *State) { s.Nodes[5].Departed = 1 },
		"no meta voter":       func(s *State) { s.MetaVoters = nil },
		"six meta voters":     func(s *State) { s.MetaVoters = s.Members() },
		"meta voter twice":    func(s *State) { s.MetaVoters[1] = s.MetaVoters[0] },
		"unknown meta voter":  func(s *State) { s.MetaVoters[1] = "who" },
		"no ranges":           func(s *State) { s.Ranges = nil },
		"gap":                 func(s *State) { s.Ranges[1].From.Slot++ },
		"overlap":             func(s *State) { s.Ranges[1].From.Slot-- },
		"short":               func(s *State) { s.Ranges = s.Ranges[:2] },
		"empty range":         func(s *State) { s.Ranges[1].To = s.Ranges[1].From; s.Ranges[2].From = s.Ranges[1].From },
		"end twice":           func(s *State) { s.Ranges[0].To = op.Position{}; s.Ranges[1].From = op.Position{} },
		"behind the slots":    func(s *State) { p := op.Position{Slot: op.Slots}; s.Ranges[1].To, s.Ranges[2].From = p, p },
		"id twice":            func(s *State) { s.Ranges[1].ID = 1 },
		"id of meta":          func(s *State) { s.Ranges[1].ID = 0 },
		"id not given out":    func(s *State) { s.NextID = 3 },
		"no replicas":         func(s *State) { s.Ranges[1].Replicas = nil },
		"replica twice":       func(s *State) { s.Ranges[1].Replicas = []string{"n00", "n00"} },
		"unknown replica":     func(s *State) { s.Ranges[1].Replicas = []string{"who"} },
		"replica that left":   func(s *State) { s.Nodes[0].Status, s.Nodes[0].Departed, s.MetaVoters = Left, 1, []string{"n01"} },
		"born twice":          func(s *State) { s.Ranges[1].Born = []string{"n00", "n00"} },
		"born without id":     func(s *State) { s.Ranges[1].Born = []string{""} },
		"negative floor":      func(s *State) { s.Floor = -1 },
		"two changes":         func(s *State) { s.Changes = []Change{{Kind: SetReplicas, Range: 1}, {Kind: SetReplicas, Range: 1}} },
		"changes' order":      func(s *State) { s.Changes = []Change{{Kind: SetReplicas, Range: 2}, {Kind: SetReplicas, Range: 1}} },
		"change of no range":  func(s *State) { s.Changes = []Change{{Kind: SetReplicas, Range: 4}} },
		"change of no kind":   func(s *State) { s.Changes = []Change{{Kind: Forget, Range: 1}} },
		"split outside": func(s *State) {
			s.Changes, s.NextID = []Change{{Kind: Split, Range: 1, Other: 4, At: s.Ranges[1].From}}, 5
		},
		"split into old":     func(s *State) { s.Changes = []Change{{Kind: Split, Range: 1, Other: 2, At: op.Position{Slot: 1}}} },
		"split without id":   func(s *State) { s.Changes = []Change{{Kind: Split, Range: 1, Other: 4, At: op.Position{Slot: 1}}} },
		"merge of strangers": func(s *State) { mergeable(s); s.Changes = []Change{{Kind: Merge, Range: 1, Other: 3}} },
		"merge elsewhere":    func(s *State) { s.Changes = []Change{{Kind: Merge, Range: 1, Other: 2}} },
		"merge and move": func(s *State) {
			mergeable(s)
			s.Changes = []Change{{Kind: Merge, Range: 1, Other: 2}, {Kind: SetReplicas, Range: 2}}
		},
		"move and merge": func(s *State) {
			mergeable(s)
			s.Changes = []Change{{Kind: SetReplicas, Range: 2}, {Kind: Merge, Range: 2, Other: 3}}
		},
		"cooldown for ever":   func(s *State) { s.Cooldowns = []Cooldown{{Range: 1}} },
		"cooldown of no node": func(s *State) { s.Cooldowns = []Cooldown{{Range: 1, Node: "who", Until: 1}} },
		"negative range's RF": func(s *State) { s.Ranges[1].Replication = -1 },
	} {
		s := newState(t, 6, 3, 3)
		if change(s); s.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// mergeable puts all replicas on the same nodes.
func mergeable(s *State) {
	for i := range s.Ranges {
		s.Ranges[i].Replicas, s.Ranges[i].Born = []string{"n00", "n01"}, nil
	}
}

// full is a State with every field set.
func full(t testing.TB) *State {
	s := newState(t, 4, 3, 3)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		n.ClientAddr, n.ClusterAddr, n.Zone = "10.0.0.1:6379", "10.0.0.1:6380", "east"
	}
	if err := s.Join(Node{ID: "n99", PeerAddr: "p"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Leave("n99"), s.SetStatus("n03", Draining)); err != nil {
		t.Fatal(err)
	}
	middle := op.Position{Slot: 17, Name: []byte("a\x00\xff")}
	s.Ranges = append([]Range{{ID: 4, Epoch: 300, To: middle, Replication: 5, Replicas: []string{"n03"}, Born: []string{"long gone"}}}, s.Ranges...)
	s.NextID, s.Ranges[1].From, s.Ranges[1].Born = 70000, middle, nil
	s.Changes = []Change{{Kind: Split, Range: 1, Other: 5, At: op.Position{Slot: 17, Name: []byte("b")}, Began: 1 << 40, Cancel: true},
		{Kind: SetReplicas, Range: 2, From: "n03", To: "n00", Began: 2 << 40}, {Kind: SetReplicas, Range: 4, To: "n03"}}
	s.Cooldowns = []Cooldown{{Range: 2, Until: 3 << 40}, {Range: 4, Node: "n02", Until: 9}}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// The bytes are in stores. A line that changes is a new format, and what is there must stay readable.
func TestGolden(t *testing.T) {
	const golden = "testdata/state.golden"
	got := full(t).Encode()
	if *rewrite {
		if err := os.WriteFile(golden, fmt.Appendf(nil, "%x\n", got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := goldenBytes(t, golden)
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%x\nwant\n%x", got, want)
	}
	if s, err := Decode(want); err != nil || !reflect.DeepEqual(s, full(t)) {
		t.Errorf("%+v, %v", s, err)
	}
	first := full(t)
	first.Changes, first.Cooldowns, first.Floor = nil, nil, len(first.Ranges)
	if s, err := Decode(goldenBytes(t, "testdata/state-1.golden")); err != nil || !reflect.DeepEqual(s, first) {
		t.Errorf("format 1: %+v, %v", s, err)
	}
}

func goldenBytes(t *testing.T, file string) (b []byte) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "%x", &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// No cut of the bytes is taken, no flipped bit makes a State that breaks a rule, and a newer format is said to be one.
func TestDamagedBytes(t *testing.T) {
	b := full(t).Encode()
	for i := range b {
		if _, err := Decode(b[:i]); err == nil {
			t.Errorf("a state cut to %d bytes was taken", i)
		}
		for bit := range 8 {
			flipped := bytes.Clone(b)
			flipped[i] ^= 1 << bit
			if s, err := Decode(flipped); err == nil && s.Check() != nil {
				t.Errorf("bit %d of byte %d: %v", bit, i, s.Check())
			}
		}
	}
	if _, err := Decode(append(b, 0)); err == nil {
		t.Error("bytes at the end were taken")
	}
	if _, err := Decode(append([]byte{stateFormat + 1}, b[1:]...)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), fmt.Sprintf("format %d", stateFormat+1)) {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(full(f).Encode())
	f.Add(newState(f, 1, 1, 1).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(s.Encode())
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}

func TestCloneSharesNothing(t *testing.T) {
	s := full(t)
	c := s.Clone()
	c.Nodes[0].Name, c.MetaVoters[0], c.Ranges[1].Replicas[0], c.Ranges[2].Born[0], c.Ranges[0].ID = "x", "x", "x", "x", 99
	c.Changes[0].Began, c.Cooldowns[0].Range = 99, 99
	if !reflect.DeepEqual(s, full(t)) {
		t.Error("changing a clone changed what it was made from")
	}
}
