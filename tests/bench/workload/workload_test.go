package workload

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/system"
)

const smokeCell = 200 * time.Millisecond

// runCell runs one short cell of w against addr.
func runCell(t *testing.T, name, addr string, w Workload) load.Result {
	t.Helper()
	d, err := NewDriver(name, []string{addr})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	workers, err := Workers(t.Context(), d, w)
	if err != nil {
		t.Fatal(err)
	}
	plan := load.Plan{Measure: smokeCell, Grace: 5 * time.Second}
	return load.Run(t.Context(), plan, workers, load.Window{Begin: func() {}, End: func() {}})
}

func TestEveryRESPWorkloadDoesRightOperations(t *testing.T) {
	for _, name := range []string{system.Redis, system.Kahuna} {
		for _, w := range All(4) {
			if w.Clients > 4 {
				w.Clients = 8 // the many connections are not the point here
			}
			if name == system.Redis && (w.Kind == LockHot || w.Kind >= Snapshot) {
				continue
			}
			if w.Kind == LockHot {
				w.Clients = 1 // the fake server lets nobody wait
			}
			t.Run(name+"/"+w.ID, func(t *testing.T) {
				t.Parallel()
				r := runCell(t, name, startFake(t, ""), w)
				if r.Broken != nil || r.Wrong != 0 || r.Right == 0 || r.Latency.Count() != r.Right {
					t.Errorf("%d right, %d wrong (%s), broken: %v", r.Right, r.Wrong, r.FirstWrong, r.Broken)
				}
			})
		}
	}
}

// TestErrorRepliesAreCounted shows each check a server that refuses the command it rests on.
func TestErrorRepliesAreCounted(t *testing.T) {
	cases := []struct{ system, workload, broken string }{
		{system.Redis, "get", "GET"}, {system.Redis, "get-p16", "GET"},
		{system.Redis, "cas", "EVALSHA"}, {system.Redis, "lock", "EVALSHA"}, {system.Redis, "seq", "INCR"},
		{system.Redis, "txn-1slot", "EXEC"}, {system.Kahuna, "txn-2slots", "MULTI"},
		{system.Kahuna, "lock", "UNLOCK"}, {system.Kahuna, "lock", "LOCK"}, {system.Kahuna, "seq", "SEQNEXT"},
	}
	all := All(2)
	for _, c := range cases {
		t.Run(c.system+"/"+c.workload+"/"+c.broken, func(t *testing.T) {
			t.Parallel()
			w := all[slices.IndexFunc(all, func(w Workload) bool { return w.ID == c.workload })]
			r := runCell(t, c.system, startFake(t, c.broken), w)
			if r.Wrong == 0 || r.Right != 0 || !strings.Contains(r.FirstWrong, "ERR") {
				t.Errorf("%d right, %d wrong, first %q, broken %v", r.Right, r.Wrong, r.FirstWrong, r.Broken)
			}
		})
	}
}

func TestSetUpFailsWithAReason(t *testing.T) {
	for _, c := range []struct{ system, broken string }{{system.Redis, "SET"}, {system.Kahuna, "KSET"}} {
		d, err := NewDriver(c.system, []string{startFake(t, c.broken)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Workers(context.Background(), d, Workload{ID: "cas", Kind: CAS, Clients: 1}); err == nil ||
			!strings.Contains(err.Error(), "ERR broken") {
			t.Errorf("%s: %v", c.system, err)
		}
	}
}

func TestRightValue(t *testing.T) {
	key := []byte("key:00000001")
	value := newValue(newRand(1), key)
	if !rightValue(value, key) {
		t.Error("the value written is refused")
	}
	if rightValue(value, []byte("key:00000002")) || rightValue(value[:100], key) || rightValue(nil, key) {
		t.Error("a value of another key or size is accepted")
	}
}

func TestSlots(t *testing.T) {
	// From the Redis Cluster specification and redis-cli CLUSTER KEYSLOT.
	for key, want := range map[string]uint16{"123456789": 12739, "foo": 12182, "{foo}bar": 12182} {
		if got := slot(key); got != want {
			t.Errorf("slot(%q) = %d, want %d", key, got, want)
		}
	}
	for worker := range 20 {
		for _, p := range pairs(TxnOneSlot, worker) {
			if slot(string(p[0])) != slot(string(p[1])) || string(p[0]) == string(p[1]) {
				t.Errorf("%q: not two keys in one slot", p)
			}
		}
		for _, p := range pairs(TxnTwoSlots, worker) {
			if slot(string(p[0])) >= slots/2 || slot(string(p[1])) < slots/2 {
				t.Errorf("%q: not in different halves of the slots", p)
			}
		}
	}
}

func TestTitlesAndIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range All(50) {
		if seen[w.ID] || seen[w.Title()] {
			t.Errorf("%s, %s: used twice", w.ID, w.Title())
		}
		seen[w.ID], seen[w.Title()] = true, true
	}
}
