package raftgroup

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"
)

// fakeGuard is a follower's state: the terms of all entries it ever had, by index, of which the log holds those from first on.
type fakeGuard struct {
	terms   []uint64 // terms[0] is not used
	first   uint64   // 0: the log is empty, and the last entry is the marker
	applied uint64
	empty   bool
	refuses bool
	leads   bool
}

func (g *fakeGuard) Applied() uint64    { return g.applied }
func (g *fakeGuard) FirstIndex() uint64 { return g.first }
func (g *fakeGuard) Refuses() bool      { return g.refuses }
func (g *fakeGuard) Filled() bool       { return !g.empty }
func (g *fakeGuard) last() uint64       { return uint64(len(g.terms) - 1) }

func (g *fakeGuard) Follows() (commit uint64, yes bool) { return g.applied, !g.leads }

// EntryTerm knows the log, and the marker, which is right before it here.
func (g *fakeGuard) EntryTerm(index uint64) (uint64, bool) {
	marker := g.first - 1
	if g.first == 0 {
		marker = g.last()
	}
	if index == 0 || index < marker || index > g.last() {
		return 0, false
	}
	return g.terms[index], true
}

// lookup is what hashicorp/raft can find: the log, and its last entry.
func (g *fakeGuard) lookup(index uint64) (uint64, bool) {
	if index != 0 && index == g.last() || g.first != 0 && index >= g.first && index <= g.last() {
		return g.terms[index], true
	}
	return 0, false
}

// accept judges a request as hashicorp/raft 1.8.0 does (raft.go, appendEntries), and returns the commit index it takes over.
func (g *fakeGuard) accept(req *raft.AppendEntriesRequest) (ok bool, commit uint64) {
	if req.PrevLogEntry > 0 {
		if term, found := g.lookup(req.PrevLogEntry); !found || term != req.PrevLogTerm {
			return false, 0
		}
	}
	for i, e := range req.Entries {
		if e.Index > g.last() || g.first == 0 && e.Index == g.last()+1 {
			g.append(req.Entries[i:])
			break
		}
		term, found := g.lookup(e.Index)
		if !found || g.first == 0 {
			return false, 0
		}
		if term != e.Term {
			g.terms = g.terms[:e.Index]
			g.append(req.Entries[i:])
			break
		}
	}
	return true, min(req.LeaderCommitIndex, g.last())
}

func (g *fakeGuard) append(entries []*raft.Log) {
	for _, e := range entries {
		if e.Index != g.last()+1 {
			panic(fmt.Sprintf("entry %d after %d", e.Index, g.last()))
		}
		if g.first == 0 {
			g.first = e.Index
		}
		g.terms = append(g.terms, e.Term)
	}
}

func entriesOf(terms []uint64, from, to uint64) (entries []*raft.Log) {
	for i := from; i <= to; i++ {
		entries = append(entries, &raft.Log{Index: i, Term: terms[i]})
	}
	return entries
}

// request is what a leader with these terms sends.
func request(terms []uint64, prev, to, commit uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{
		RPCHeader: someHeader, Term: 9, PrevLogEntry: prev, PrevLogTerm: terms[prev], LeaderCommitIndex: commit, Entries: entriesOf(terms, prev+1, to),
	}
}

func repeat(term uint64, n int) []uint64 {
	terms := make([]uint64, n+1)
	for i := range terms[1:] {
		terms[i+1] = term
	}
	return terms
}

func TestFitAppend(t *testing.T) {
	terms := repeat(2, 30)
	follower := func(first, last, applied uint64) *fakeGuard {
		return &fakeGuard{terms: terms[:last+1], first: first, applied: applied}
	}
	for name, c := range map[string]struct {
		guard      *fakeGuard
		prev, to   uint64 // of the request
		commit     uint64
		wantPrev   uint64
		wantFirst  uint64 // 0: no entries
		wantLast   uint64
		wantCommit uint64
	}{
		"within the log: unchanged":                {follower(10, 20, 15), 10, 18, 14, 10, 11, 18, 14},
		"behind the log: unchanged":                {follower(10, 20, 15), 25, 27, 14, 25, 26, 27, 14},
		"from the start, nothing compacted":        {follower(1, 20, 15), 0, 18, 14, 0, 1, 18, 14},
		"a new replica":                            {follower(0, 0, 0), 0, 5, 4, 0, 1, 5, 4},
		"a new replica, far behind":                {follower(0, 0, 0), 7, 9, 4, 7, 8, 9, 4},
		"commit beyond the entries is cut":         {follower(1, 20, 5), 7, 9, 15, 7, 8, 9, 9},
		"commit beyond the previous entry is cut":  {follower(1, 20, 5), 7, 7, 15, 7, 0, 0, 7},
		"a heartbeat":                              {follower(10, 20, 15), 0, 0, 0, 0, 0, 0, 0},
		"begins below: cut to the applied index":   {follower(10, 20, 15), 5, 18, 17, 15, 16, 18, 17},
		"begins at 0: cut to the applied index":    {follower(10, 20, 15), 0, 18, 17, 15, 16, 18, 17},
		"begins at the marker: cut":                {follower(10, 20, 15), 9, 18, 17, 15, 16, 18, 17},
		"ends below what is applied":               {follower(10, 20, 15), 5, 12, 14, 12, 0, 0, 12},
		"ends below the log":                       {follower(10, 20, 15), 5, 8, 14, 0, 0, 0, 0},
		"ends at the marker":                       {follower(10, 20, 15), 5, 9, 14, 0, 0, 0, 0},
		"empty, below the log":                     {follower(10, 20, 15), 5, 5, 14, 0, 0, 0, 0},
		"empty, at the marker":                     {follower(10, 20, 15), 9, 9, 14, 0, 0, 0, 0},
		"nothing applied behind the marker":        {follower(10, 20, 9), 5, 18, 17, 0, 10, 18, 17},
		"the same, from the marker":                {follower(10, 20, 9), 9, 18, 17, 0, 10, 18, 17},
		"an empty log, from the marker":            {follower(0, 12, 12), 12, 18, 17, 12, 13, 18, 17},
		"an empty log, from below":                 {follower(0, 12, 12), 8, 18, 17, 12, 13, 18, 17},
		"an empty log, up to the marker":           {follower(0, 12, 12), 8, 12, 17, 0, 0, 0, 0},
		"not in health: the log begins too far up": {follower(10, 20, 7), 5, 18, 17, 5, 6, 18, 17},
		"not in health: applied, but lost the log": {follower(0, 12, 14), 8, 18, 17, 8, 9, 18, 17},
		"not in health: applied beyond the log":    {follower(10, 12, 14), 5, 18, 17, 0, 10, 18, 17},
	} {
		req := request(terms, c.prev, c.to, c.commit)
		fitAppend(c.guard, req)
		want := request(terms, c.wantPrev, c.wantPrev, c.wantCommit)
		if c.wantFirst > 0 {
			want.Entries = entriesOf(terms, c.wantFirst, c.wantLast)
		}
		if len(req.Entries) == 0 {
			req.Entries = nil
		}
		if !reflect.DeepEqual(req, want) {
			t.Errorf("%s: got %+v, want %+v", name, req, want)
		}
	}
}

// A follower whose log is compacted ends as one whose log is whole, for any request of a leader that has all that is applied.
func TestFitAppendIsLikeAWholeLog(t *testing.T) {
	rng, trimmed := rand.New(rand.NewPCG(4, 2)), 0
	for range 40_000 {
		leader, whole := randomLogs(rng)
		compact := *whole
		compact.first = 1 + rng.Uint64N(whole.applied+1)
		if compact.first > whole.last() {
			compact.first = 0
		}
		prev := rng.Uint64N(uint64(len(leader)))
		to := prev + rng.Uint64N(uint64(len(leader))-prev)
		req := request(leader, prev, to, rng.Uint64N(uint64(len(leader))))
		before, _ := compact.clone().accept(request(leader, prev, to, 0))

		wantOK, _ := whole.clone().accept(request(leader, prev, to, 0))
		want := whole.clone()
		want.accept(request(leader, prev, to, 0))
		got := compact.clone()
		fitAppend(got, req)
		gotOK, commit := got.accept(req)
		if gotOK != wantOK || !reflect.DeepEqual(got.terms, want.terms) {
			t.Fatalf("follower %+v, leader %v, prev %d, to %d: got %v %v, want %v %v", compact, leader, prev, to, gotOK, got.terms, wantOK, want.terms)
		}
		if gotOK && commit > to || commit > 0 && !reflect.DeepEqual(got.terms[:commit+1], leader[:commit+1]) {
			t.Fatalf("commit %d of %v, leader %v", commit, got.terms, leader)
		}
		if gotOK && !before {
			trimmed++
		}
	}
	if trimmed < 2_000 {
		t.Errorf("only %d requests needed the guard", trimmed)
	}
}

// randomLogs makes a leader's log and a follower's that agree up to what the follower has applied, at least, and then may not.
func randomLogs(rng *rand.Rand) (leader []uint64, follower *fakeGuard) {
	term := uint64(1)
	grow := func(terms []uint64, n int) []uint64 {
		for range n {
			if rng.IntN(4) == 0 {
				term++
			}
			terms = append(terms, term)
		}
		return terms
	}
	common := grow([]uint64{0}, 1+rng.IntN(12))
	mine := grow(append([]uint64(nil), common...), rng.IntN(5))
	term++
	leader = grow(append([]uint64(nil), common...), rng.IntN(8))
	applied := rng.Uint64N(uint64(len(common)))
	return leader, &fakeGuard{terms: mine, first: 1, applied: applied}
}

func (g *fakeGuard) clone() *fakeGuard {
	c := *g
	c.terms = append([]uint64(nil), g.terms...)
	return &c
}

func TestHasSnapshot(t *testing.T) {
	log := &fakeGuard{terms: repeat(2, 20), first: 10, applied: 12}
	for name, c := range map[string]struct {
		index, term uint64
		refuses     bool
		want        bool
	}{
		"compacted":                    {5, 1, false, true},
		"applied":                      {12, 2, false, true},
		"applied, while it refuses":    {12, 2, true, true},
		"committed, not yet applied":   {15, 2, false, true},
		"in the log, while it refuses": {15, 2, true, false},
		"another entry at that index":  {15, 3, false, false},
		"beyond the log":               {21, 2, false, false},
	} {
		log.refuses = c.refuses
		if got := hasSnapshot(log, &raft.InstallSnapshotRequest{LastLogIndex: c.index, LastLogTerm: c.term}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
