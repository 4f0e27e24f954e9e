package report

import (
	"strings"
	"testing"

	"kahuna/tests/bench/system"
)

// goalReport is a report in which every goal is just reached.
func goalReport() *Report {
	return &Report{
		Systems: []*System{{Name: system.Kahuna, ReadyMs: 1999, IdleKnown: true, IdleRSSMiB: 149.9, IdleCPUPercent: 2.99}},
		Cells: []*Cell{
			cell(system.Redis, "set", 60_000), cell(system.Etcd, "set", 12_000), cell(system.Etcd, "set-c200", 14_000),
			cell(system.Etcd, "get", 17_000), cell(system.Kahuna, "set", 30_000), cell(system.Kahuna, "set-p16", 140_000),
			cell(system.Kahuna, "get", 34_000), cell(system.Kahuna, "lock", 30_000), cell(system.Kahuna, "seq", 30_000),
		},
	}
}

func states(r *Report) map[string]string {
	out := map[string]string{}
	for _, g := range r.Evaluate() {
		out[g.Text] = g.State
	}
	return out
}

func TestGoalsAreReachedAtTheirLimit(t *testing.T) {
	for text, state := range states(goalReport()) {
		if state != Reached {
			t.Errorf("%s: %s", text, state)
		}
	}
}

// TestEachGoalCanBeMissed spoils one figure at a time and expects just the goals that rest on it to be missed.
func TestEachGoalCanBeMissed(t *testing.T) {
	slower := func(system, id string, factor float64) func(*Report) {
		return func(r *Report) { r.Cell(system, id).Median[OpsPerSecond] *= factor }
	}
	cases := []struct {
		name   string
		spoil  func(*Report)
		missed string // a part of each text that is missed
		count  int
	}{
		{"redis is faster", slower(system.Redis, "set", 1.01), "of Redis", 1},
		{"etcd puts faster", slower(system.Etcd, "set", 1.01), "2.5 times etcd", 1},
		{"etcd's best put is faster", slower(system.Etcd, "set-c200", 1.01), "best put", 1},
		{"etcd reads faster", slower(system.Etcd, "get", 1.01), "2 times etcd", 1},
		{"pipelined SET is slower", slower(system.Kahuna, "set-p16", 0.99), "pipelined", 1},
		{"locks are slower", slower(system.Kahuna, "lock", 0.99), "pairs/s", 1},
		{"locks are much slower", slower(system.Kahuna, "lock", 0.49), "LOCK+UNLOCK", 2},
		{"the sequence is slower", slower(system.Kahuna, "seq", 0.99), "SEQNEXT", 1},
		{"more memory", func(r *Report) { r.Systems[0].IdleRSSMiB = 150 }, "memory", 1},
		{"more idle CPU", func(r *Report) { r.Systems[0].IdleCPUPercent = 3 }, "CPU", 1},
		{"ready late", func(r *Report) { r.Systems[0].ReadyMs = 2000 }, "ready", 1},
	}
	for _, c := range cases {
		r := goalReport()
		c.spoil(r)
		missed := 0
		for text, state := range states(r) {
			if state == NotReached {
				missed++
				if !strings.Contains(text, c.missed) {
					t.Errorf("%s: missed %q", c.name, text)
				}
			}
		}
		if missed != c.count {
			t.Errorf("%s: %d goals missed, want %d", c.name, missed, c.count)
		}
	}
}

func TestGoalsWithoutFiguresAreNotMeasured(t *testing.T) {
	for text, state := range states(&Report{}) {
		if state != NotMeasured {
			t.Errorf("nothing was run, but %s: %s", text, state)
		}
	}
	r := goalReport()
	r.Cell(system.Kahuna, "get").Failure = "too many errors"
	for text, state := range states(r) {
		if (state == NotMeasured) != strings.HasPrefix(text, "GET") {
			t.Errorf("GET failed, and %s: %s", text, state)
		}
	}
}
