package report

import (
	"encoding/json"
	"strings"
	"testing"

	"kahuna/tests/bench/floor"
	"kahuna/tests/bench/system"
	"kahuna/tests/bench/workload"
)

func find(id string) workload.Workload {
	for _, w := range workload.All(50) {
		if w.ID == id {
			return w
		}
	}
	panic("no workload " + id)
}

func round(ops float64) Round {
	return Round{Metrics: Metrics{Operations: ops, OpsPerSecond: ops, P50Ms: 0.5, P99Ms: 1.25, P999Ms: 12.34, ServerCPU: 16.2}}
}

// cell is a cell with one round of that many operations per second.
func cell(system, id string, ops float64) *Cell {
	c := NewCell(system, find(id))
	c.Add(round(ops))
	return c
}

func TestMediansAreOfEachMetricByItself(t *testing.T) {
	c := NewCell(system.Redis, find("set"))
	for _, v := range [][2]float64{{30, 1}, {10, 3}, {20, 2}} {
		c.Add(Round{Metrics: Metrics{Operations: 1, OpsPerSecond: v[0], P50Ms: v[1]}})
	}
	if c.Median[OpsPerSecond] != 20 || c.Median[P50Ms] != 2 || !c.OK() {
		t.Errorf("%v", c.Median)
	}
	if got := median([]float64{4, 1}); got != 2.5 {
		t.Errorf("median of two: %v", got)
	}
	if _, ok := c.Median[Syncs]; ok {
		t.Error("a metric that was not measured has a median")
	}
}

func TestJudge(t *testing.T) {
	cases := []struct {
		right, wrong float64
		failure      string
		want         string
	}{
		{1000, 0, "", ""},
		{9990, 9, "", ""}, // below 0.1%
		{9990, 11, "", "too many errors"},
		{0, 5, "", "too many errors"},
		{0, 0, "", "no operation"},
		{1000, 0, "connection reset", "connection reset"},
	}
	for _, c := range cases {
		r := Round{Metrics: Metrics{Operations: c.right, Errors: c.wrong}, Failure: c.failure}
		r.Judge()
		if (r.Failure == "") != (c.want == "") || !strings.Contains(r.Failure, c.want) {
			t.Errorf("%v right, %v wrong, %q: %q, want %q", c.right, c.wrong, c.failure, r.Failure, c.want)
		}
	}
}

func TestOneFailedRoundFailsTheCellAndTheRun(t *testing.T) {
	c := cell(system.Redis, "set", 100)
	r := Report{Cells: []*Cell{c}}
	if f := r.Failures(); len(f) != 0 {
		t.Errorf("%v", f)
	}
	c.Add(Round{Metrics: Metrics{}})
	c.Add(round(100))
	if f := r.Failures(); c.OK() || len(f) != 1 || !strings.Contains(f[0], "no operation") {
		t.Errorf("%v", f)
	}
	if f := (&Report{}).Failures(); len(f) != 1 {
		t.Errorf("a report without cells: %v", f)
	}
	r = Report{Cells: []*Cell{cell(system.Redis, "set", 1)}, Systems: []*System{{Name: "kahuna", Failure: "does not build"},
		{Name: "etcd", Skipped: "not found"}}}
	if f := r.Failures(); len(f) != 1 || f[0] != "kahuna: does not build" {
		t.Errorf("a failed and a skipped system: %v", f)
	}
}

func TestTable(t *testing.T) {
	failed := NewCell(system.Kahuna, find("get"))
	failed.Add(Round{Metrics: Metrics{Errors: 3}, Note: "ERR x"})
	r := Report{
		Machine: Machine{OS: "linux/amd64", Kernel: "6.1", CPU: "Some CPU", CPUs: 2, Go: "go1", Began: "then"}, Rounds: 3, SecondsS: 3,
		Floor: floor.Result{Sync: floor.Figure{PerSecond: 7614, P50Us: 117, P99Us: 330}},
		Systems: []*System{{Name: "kahuna", Version: "kahuna 1 | dev", ReadyMs: 620, IdleKnown: true, IdleRSSMiB: 23.2, IdleCPUPercent: 0.4},
			{Name: "etcd", Skipped: "not found in PATH"}, {Name: "redis", Version: "v7", Failure: "it ended"}},
		Cells: []*Cell{cell(system.Kahuna, "set", 30_000), cell(system.Redis, "set", 60_000), failed},
		Goals: []Goal{{"fast", "0.50", Reached}},
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"linux/amd64, 2 CPUs (Some CPU), kernel 6.1, go1, then; median of 3 rounds of 3.00 s\n",
		"| fdatasync of a 4 KiB overwrite | 7,614 | 117 | 330 |\n",
		"| kahuna | kahuna 1 / dev | 620 | 23.2 | 0.40 | - |\n",
		"| etcd | skipped: not found in PATH | - | - | - | - |\n",
		"| redis | v7 FAILED | - | - | - | - |\n",
		"- redis: it ended\n",
		"| SET c=50 | kahuna | 30,000 | 0.500 | 1.25 | 12.3 | 16.2 | - | - | 0.500 | - |\n",
		"| SET c=50 | redis | 60,000 | 0.500 | 1.25 | 12.3 | 16.2 | - | - | 1.00 | - |\n",
		"| GET c=50 | kahuna | FAILED | - | - | - | - | - | - | - | - |\n",
		"| fast | 0.50 | reached |\n",
		"- kahuna, GET c=50: too many errors, the first: ERR x\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("missing %q in:\n%s", want, &b)
		}
	}
	columnsAgree(t, b.String())
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// columnsAgree checks that all rows of each table have the same number of columns.
func columnsAgree(t *testing.T, text string) {
	t.Helper()
	columns := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(line, "|")
		if columns != 0 && n != columns {
			t.Errorf("%d bars, want %d: %s", n, columns, line)
		}
		columns = n
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.0004: "0.000", 0.0846: "0.085", 0.9996: "1.00", 9.994: "9.99",
		9.996: "10.0", 99.96: "100", 999.6: "1,000", 1234567: "1,234,567", -5: "-5.00"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}
