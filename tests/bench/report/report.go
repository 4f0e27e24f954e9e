// Package report holds what a run of the bench found: rounds of cells and their medians, a table of them, and how they
// compare with the goals. All of it goes into the JSON file.
package report

import (
	"slices"

	"kahuna/tests/bench/floor"
	"kahuna/tests/bench/workload"
)

// Metric names a figure of a cell, with its unit.
type Metric string

// The metrics. One that could not be measured is absent.
const (
	OpsPerSecond Metric = "ops_per_s"
	P50Ms        Metric = "p50_ms"
	P99Ms        Metric = "p99_ms"
	P999Ms       Metric = "p999_ms"
	MaxMs        Metric = "max_ms"
	ServerCPU    Metric = "server_cpu_us_per_op" // all processes of the system
	ClientCPU    Metric = "client_cpu_us_per_op" // the bench itself
	WrittenBytes Metric = "written_bytes_per_op" // to the storage layer
	Syncs        Metric = "fsyncs_per_op"
	Operations   Metric = "operations"
	Errors       Metric = "errors" // error replies and wrong ones
)

// Metrics are the figures of one round, or their medians.
type Metrics map[Metric]float64

// maxErrorPart is the part of all operations from which on errors fail a cell.
const maxErrorPart = 0.001

// Round is one run of one cell.
type Round struct {
	Metrics Metrics `json:"metrics"`
	Failure string  `json:"failure,omitempty"` // why the round does not count
	Note    string  `json:"note,omitempty"`    // the first wrong reply
}

// Judge sets Failure when the round did no work or had too many errors, unless it has failed already.
func (r *Round) Judge() {
	done, wrong := r.Metrics[Operations], r.Metrics[Errors]
	switch {
	case r.Failure != "":
	case wrong > maxErrorPart*(done+wrong):
		r.Failure = "too many errors, the first: " + r.Note
	case done == 0:
		r.Failure = "no operation was done"
	}
}

// Cell is one workload on one system.
type Cell struct {
	System   string            `json:"system"`
	ID       string            `json:"workload"`
	Title    string            `json:"title"`
	Clients  int               `json:"clients"`
	Pipeline int               `json:"pipeline"`
	Rounds   []Round           `json:"rounds"`
	Median   Metrics           `json:"median"`            // each metric by itself
	Failure  string            `json:"failure,omitempty"` // of the first round that failed
	Workload workload.Workload `json:"-"`
}

// NewCell is a cell without rounds.
func NewCell(system string, w workload.Workload) *Cell {
	return &Cell{System: system, ID: w.ID, Title: w.Title(), Clients: w.Clients, Pipeline: w.Pipeline, Workload: w}
}

// Add judges a round and adds it.
func (c *Cell) Add(r Round) Round {
	r.Judge()
	c.Rounds = append(c.Rounds, r)
	if c.Failure == "" {
		c.Failure = r.Failure
	}
	c.Median = medians(c.Rounds)
	return r
}

// OK tells whether the cell has rounds and none of them failed.
func (c *Cell) OK() bool { return c != nil && len(c.Rounds) > 0 && c.Failure == "" }

func medians(rounds []Round) Metrics {
	values := map[Metric][]float64{}
	for _, r := range rounds {
		for m, v := range r.Metrics {
			values[m] = append(values[m], v)
		}
	}
	out := Metrics{}
	for m, v := range values {
		out[m] = median(v)
	}
	return out
}

// median is the middle value, or the mean of the two in the middle.
func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// System is what was found of one system apart from its cells.
type System struct {
	Name           string  `json:"name"`
	Version        string  `json:"version,omitempty"`
	Skipped        string  `json:"skipped,omitempty"` // why it is not compared
	Failure        string  `json:"failure,omitempty"` // it was there, but could not be run to the end
	ReadyMs        float64 `json:"ready_ms,omitempty"`
	IdleRSSMiB     float64 `json:"idle_rss_mib,omitempty"`
	IdleCPUPercent float64 `json:"idle_cpu_percent"` // of one core
	IdleKnown      bool    `json:"idle_known"`       // the two idle figures were measured
	EndRSSMiB      float64 `json:"end_rss_mib,omitempty"`
}

// Machine is where it ran.
type Machine struct {
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Go     string `json:"go"`
	Began  string `json:"began"` // RFC 3339
}

// Report is everything.
type Report struct {
	Machine  Machine      `json:"machine"`
	Command  []string     `json:"command"`
	Nodes    int          `json:"nodes"`
	Rounds   int          `json:"rounds"`
	SecondsS float64      `json:"seconds_per_cell"`
	Floor    floor.Result `json:"floor"`
	Systems  []*System    `json:"systems"`
	Cells    []*Cell      `json:"cells"`
	Goals    []Goal       `json:"goals"`
}

// Cell finds a cell; nil when it was not run.
func (r *Report) Cell(system, id string) *Cell {
	i := slices.IndexFunc(r.Cells, func(c *Cell) bool { return c.System == system && c.ID == id })
	if i < 0 {
		return nil
	}
	return r.Cells[i]
}

// System finds a system; nil when it was not asked for.
func (r *Report) System(name string) *System {
	i := slices.IndexFunc(r.Systems, func(s *System) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return r.Systems[i]
}

// Failures names everything that fails the run; a run without a single cell is one.
func (r *Report) Failures() []string {
	var out []string
	for _, s := range r.Systems {
		if s.Failure != "" {
			out = append(out, s.Name+": "+s.Failure)
		}
	}
	ran := 0
	for _, c := range r.Cells {
		ran += len(c.Rounds)
		if c.Failure != "" {
			out = append(out, c.System+", "+c.Title+": "+c.Failure)
		}
	}
	if ran == 0 {
		out = append(out, "no cell was run")
	}
	return out
}
