package cluster

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"kahuna/op"
	"kahuna/placement"
)

func someReport(rnd *rand.Rand, id uint32) placement.ReplicaReport {
	r := placement.ReplicaReport{Range: id, Term: rnd.Uint64N(9), Applied: rnd.Uint64N(9), Empty: rnd.IntN(2) == 0}
	for i := range rnd.IntN(4) {
		node := fmt.Sprint("node", i)
		r.Members = append(r.Members, placement.Member{ID: node, Addr: node, Voter: rnd.IntN(2) == 0, CaughtUp: rnd.IntN(2) == 0, Live: rnd.IntN(2) == 0})
	}
	if r.Leads = rnd.IntN(2) == 0; r.Leads && rnd.IntN(2) == 0 {
		r.Measured, r.Bytes, r.OpsPerSec = time.Minute, rnd.Uint64N(1<<40), rnd.Uint64N(1<<20)
		r.HalfLoad = op.Position{Slot: uint16(rnd.IntN(op.Slots)), Name: []byte("n")}
	}
	return r
}

func inOrder(r placement.NodeReport) placement.NodeReport {
	slices.SortFunc(r.Replicas, func(a, b placement.ReplicaReport) int { return int(a.Range) - int(b.Range) })
	for i := range r.Replicas {
		r.Replicas[i].Measured = r.Replicas[i].Measured.Round(time.Second)
	}
	return r
}

// Two who look now and then, whose answers come in any order or get lost, come to know all that a node says of itself, also when it has
// started anew meanwhile.
func TestSightsLearn(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	now := time.Hour
	own := &ownReports{life: 1, replicas: map[uint32]*noted{}}
	sights := []*sight{newSight(), newSight()}
	var late [2][]byte
	for round := range 3000 {
		for range rnd.IntN(4) {
			id := rnd.Uint32N(20)
			if old := own.replicas[id]; old != nil && !old.gone && rnd.IntN(3) == 0 {
				own.seq++
				old.gone, old.seq = true, own.seq
			} else {
				own.note(someReport(rnd, id), now)
			}
		}
		if rnd.IntN(100) == 0 {
			own = &ownReports{life: own.life + 1, replicas: map[uint32]*noted{}, seq: rnd.Uint64N(3)}
		}
		for i, s := range sights {
			answer := own.since(s.version(), now)
			if late[i] != nil && rnd.IntN(2) == 0 {
				if err := s.learn(late[i], now); err != nil {
					t.Fatal(err)
				}
				late[i] = nil
			}
			if rnd.IntN(4) == 0 {
				late[i] = answer
				continue
			}
			if err := s.learn(answer, now); err != nil {
				t.Fatal(err)
			}
			if err := s.learn(own.since(s.version(), now), now); err != nil {
				t.Fatal(err)
			}
			got, want := inOrder(s.report(now)), inOrder(own.report(now))
			want.OpsPerSec = got.OpsPerSec
			if len(got.Replicas)+len(want.Replicas) > 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("round %d: got %+v, want %+v", round, got, want)
			}
		}
	}
}

// What has not changed is not said again, and a busy cluster's answer stays small.
func TestLookIsCompact(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	own := &ownReports{life: 1 << 60, replicas: map[uint32]*noted{}}
	for id := range uint32(1000) {
		own.note(someReport(rnd, id), time.Hour)
	}
	s := newSight()
	whole := own.since(s.version(), time.Hour)
	if err := s.learn(whole, time.Hour); err != nil || len(whole) > 40_000 {
		t.Errorf("%d bytes, %v", len(whole), err)
	}
	if again := own.since(s.version(), time.Hour); len(again) > 40 {
		t.Errorf("nothing is new, and it takes %d bytes", len(again))
	}
	same := *s.replica(7)
	own.note(same, time.Hour)
	if again := own.since(s.version(), time.Hour); len(again) > 40 {
		t.Errorf("nothing is new, and it takes %d bytes", len(again))
	}
}

// No cut of an answer is taken.
func TestDamagedAnswers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	own := &ownReports{life: 1, replicas: map[uint32]*noted{}}
	for id := range uint32(10) {
		own.note(someReport(rnd, id), time.Hour)
	}
	answer := own.since(version{}, time.Hour)
	for i := range answer {
		if s := newSight(); s.learn(answer[:i], time.Hour) == nil || len(s.replicas) > 0 {
			t.Errorf("an answer cut to %d bytes was taken", i)
		}
	}
}
