package report

import (
	"fmt"

	"kahuna/tests/bench/system"
	"kahuna/tests/bench/workload"
)

// States of a goal.
const (
	Reached     = "reached"
	NotReached  = "not reached"
	NotMeasured = "not measured"
)

// Goal is one aim for Kahuna and what was found.
type Goal struct {
	Text     string `json:"goal"`
	Measured string `json:"measured"`
	State    string `json:"state"`
}

// Goals of an idle or starting server of one node.
const (
	idleRSSMiBMax     = 150
	idleCPUPercentMax = 3
	readyMsMax        = 2000
)

// Evaluate compares the report with the goals. It never fails a run: a goal is information.
func (r *Report) Evaluate() []Goal {
	if r.Nodes > 1 {
		return r.clusterGoals()
	}
	redisSet := r.ops(system.Redis, workload.IDSet)
	etcdSet, etcdGet := r.ops(system.Etcd, workload.IDSet), r.ops(system.Etcd, workload.IDGet)
	set, get := r.ops(system.Kahuna, workload.IDSet), r.ops(system.Kahuna, workload.IDGet)
	piped := r.ops(system.Kahuna, workload.IDSetPiped)
	pairs, seq := r.ops(system.Kahuna, workload.IDLock), r.ops(system.Kahuna, workload.IDSequence)
	goals := []Goal{
		atLeast("SET, one at a time: at least 0.5 of Redis", set, redisSet, 0.5),
		atLeast("SET, one at a time: at least 2.5 times etcd", set, etcdSet, 2.5),
		atLeast("SET pipelined by 16: at least 10 times etcd's best put (it has no pipeline)", piped, r.bestEtcdPut(), 10),
		atLeast("GET: at least 2 times etcd", get, etcdGet, 2),
		atLeast("LOCK+UNLOCK pairs/s: at least SET/s", pairs, set, 1),
		atLeast("LOCK+UNLOCK commands/s (two per pair): at least SET/s", 2*pairs, set, 1),
		atLeast("SEQNEXT on one sequence: at least SET/s", seq, set, 1),
	}
	return append(goals, r.idleGoals()...)
}

// clusterGoals are those of several nodes, against as many of etcd.
func (r *Report) clusterGoals() []Goal {
	both := func(text, id string, factor float64) Goal {
		return atLeast(fmt.Sprintf("%s: at least %g times etcd", text, factor), r.ops(system.Kahuna, id), r.ops(system.Etcd, id), factor)
	}
	return []Goal{
		both("SET, one at a time, 50 clients", workload.IDSet, 3),
		both("SET, one at a time, 200 clients", "set-c200", 3),
		both("GET", workload.IDGet, 5),
		both("LOCK+UNLOCK", workload.IDLock, 3.5),
		atLeast("SET pipelined by 16: at least 12 times etcd's best put", r.ops(system.Kahuna, workload.IDSetPiped), r.bestEtcdPut(), 12),
		both("two keys in one slot", "txn-1slot", 3),
		both("two keys in two slots", "txn-2slots", 1),
		both("one hot lock handed on", "lock-hot", 10),
		both("SEQNEXT on one sequence, etcd by compare-and-swap", workload.IDSequence, 20),
		atLeast("reads of the past: at least 0.77 of GET", r.ops(system.Kahuna, workload.IDSnapshot), r.ops(system.Kahuna, workload.IDGet), 1/1.3),
		atLeast("SET beside a scan of all at one timestamp: at least 0.8 of SET", r.ops(system.Kahuna, workload.IDSetAndScan),
			r.ops(system.Kahuna, workload.IDSet), 0.8),
	}
}

func (r *Report) idleGoals() []Goal {
	s := r.System(system.Kahuna)
	if s == nil {
		s = &System{}
	}
	return []Goal{
		below("idle memory: below 150 MiB", s.IdleRSSMiB, idleRSSMiBMax, "MiB", s.IdleKnown),
		below("idle CPU: below 3% of a core", s.IdleCPUPercent, idleCPUPercentMax, "%", s.IdleKnown),
		below("ready: in under 2 s", s.ReadyMs, readyMsMax, "ms", s.ReadyMs > 0),
	}
}

// ops is the median of operations per second of a cell that did not fail, else 0.
func (r *Report) ops(system, id string) float64 {
	c := r.Cell(system, id)
	if !c.OK() {
		return 0
	}
	return c.Median[OpsPerSecond]
}

// bestEtcdPut is the highest figure of etcd over all numbers of clients.
func (r *Report) bestEtcdPut() float64 {
	best := 0.0
	for _, c := range r.Cells {
		if c.System == system.Etcd && c.Workload.Kind == workload.Set {
			best = max(best, r.ops(system.Etcd, c.ID))
		}
	}
	return best
}

// atLeast is the goal got >= factor * of; a figure of 0 was not measured.
func atLeast(text string, got, of, factor float64) Goal {
	if got == 0 || of == 0 {
		return Goal{Text: text, Measured: "-", State: NotMeasured}
	}
	return Goal{Text: text, Measured: fmt.Sprintf("%.2f (%s of %s)", got/of, number(got), number(of)),
		State: state(got >= factor*of)}
}

func below(text string, got, limit float64, unit string, known bool) Goal {
	if !known {
		return Goal{Text: text, Measured: "-", State: NotMeasured}
	}
	return Goal{Text: text, Measured: fmt.Sprintf("%s %s", number(got), unit), State: state(got < limit)}
}

func state(reached bool) string {
	if reached {
		return Reached
	}
	return NotReached
}
