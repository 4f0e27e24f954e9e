package plot

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"kahuna/tests/bench/report"
	"kahuna/tests/bench/system"
	"kahuna/tests/bench/workload"
)

func cell(system string, w workload.Workload, perSecond float64) *report.Cell {
	c := report.NewCell(system, w)
	c.Add(report.Round{Metrics: report.Metrics{report.OpsPerSecond: perSecond, report.P99Ms: 1, report.Operations: 10}})
	return c
}

func TestWrite(t *testing.T) {
	all := workload.All(50)
	r := &report.Report{Nodes: 3, Systems: []*report.System{{Name: system.Kahuna}, {Name: system.Redis}, {Name: system.Etcd, Skipped: "not there"}}}
	for i, w := range all {
		r.Cells = append(r.Cells, cell(system.Kahuna, w, float64(1000+i)))
	}
	r.Cells = append(r.Cells, cell(system.Redis, all[0], 500), report.NewCell(system.Redis, all[1])) // one failed
	dir := filepath.Join(t.TempDir(), "plots")
	if err := Write(dir, r); err != nil {
		t.Fatal(err)
	}
	for _, c := range charts {
		b, err := os.ReadFile(filepath.Join(dir, c.file+"-3.png"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(bytes.NewReader(b)); err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		b, err = os.ReadFile(filepath.Join(dir, c.file+"-3.svg"))
		if err != nil || !bytes.Contains(b, []byte("SET c=50")) {
			t.Errorf("%s: the picture does not name its workloads: %v", c.file, err)
		}
	}
}
