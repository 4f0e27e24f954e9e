package main

import (
	"context"
	"os"
	"time"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/report"
	"kahuna/tests/bench/system"
	"kahuna/tests/bench/workload"
)

// grace is how long operations under way at the end of a cell may still take.
const grace = 5 * time.Second

// job is one cell and where it runs.
type job struct {
	target *target
	cell   *report.Cell
}

// rounds runs every cell once per round. Within a workload the systems follow each other directly, and another one
// begins in each round, so that what the machine does meanwhile hits all of them alike.
func (b *bench) rounds(ctx context.Context) {
	jobs, total := b.jobs()
	done := 0
	for round := range b.options.rounds {
		for _, row := range jobs {
			for i := range row {
				j := row[(i+round)%len(row)]
				done++
				if ctx.Err() != nil {
					return
				}
				if !j.target.lost {
					b.runJob(ctx, j, round, done, total)
				}
			}
		}
	}
}

// jobs makes the cells, one row per workload, for the systems that can do it.
func (b *bench) jobs() (rows [][]job, total int) {
	for _, w := range b.options.workloads {
		var row []job
		for _, t := range b.targets {
			if !t.driver.Supports(w) {
				continue
			}
			c := report.NewCell(t.inst.System.Name, w)
			b.report.Cells = append(b.report.Cells, c)
			row = append(row, job{t, c})
		}
		if len(row) > 0 {
			rows = append(rows, row)
		}
		total += len(row) * b.options.rounds
	}
	return rows, total
}

func (b *bench) runJob(ctx context.Context, j job, round, done, total int) {
	r := b.measure(ctx, j.target, j.cell.Workload)
	if ctx.Err() != nil {
		return // what an interrupted cell shows is no result
	}
	r = j.cell.Add(r)
	b.say("[%3d/%d] round %d  %-28s %-7s %s", done, total, round+1, j.cell.Title, j.cell.System, r.Line())
	if err := j.target.inst.Exited(); err != nil {
		j.target.lose(err)
		b.say("%s: FAILED: %v", j.cell.System, err)
	}
}

// measure runs one cell once.
func (b *bench) measure(ctx context.Context, t *target, w workload.Workload) report.Round {
	workers, err := workload.Workers(ctx, t.driver, w)
	if err != nil {
		return report.Round{Failure: err.Error()}
	}
	var m meter
	window := load.Window{
		Begin: func() { m.begin.readSyncs(ctx, t.inst); m.begin.readUsage(t.inst) },
		End:   func() { m.end.readUsage(t.inst); m.end.readSyncs(ctx, t.inst) },
	}
	plan := load.Plan{Warmup: b.options.warmup, Measure: b.options.measure, Grace: grace, Rate: b.options.rate}
	return roundOf(load.Run(ctx, plan, workers, window), m)
}

// meter holds the counters at both ends of the measured time.
type meter struct{ begin, end counters }

// counters are what the server and this program have used; nil or not ok where that is not known.
type counters struct {
	server, client *system.Usage
	syncs          float64
	syncsOK        bool
}

// readUsage is what lies directly at the edge of the measured time.
func (c *counters) readUsage(inst *system.Instance) {
	if u, err := inst.Usage(); err == nil {
		c.server = &u
	}
	if u, err := system.ReadUsage(os.Getpid()); err == nil {
		c.client = &u
	}
}

// readSyncs asks the server for its metrics, which costs it time: it lies outside of readUsage.
func (c *counters) readSyncs(ctx context.Context, inst *system.Instance) {
	c.syncs, c.syncsOK = inst.Syncs(ctx)
}

// roundOf turns what was counted into the figures of a round.
func roundOf(r load.Result, m meter) report.Round {
	out := report.Round{Note: r.FirstWrong, Metrics: report.Metrics{
		report.Operations: float64(r.Right), report.Errors: float64(r.Wrong),
	}}
	if r.Broken != nil {
		out.Failure = r.Broken.Error()
	}
	if r.Right == 0 {
		return out
	}
	ops := float64(r.Right)
	out.Metrics[report.OpsPerSecond] = ops / r.Elapsed.Seconds()
	out.Metrics[report.P50Ms] = milliseconds(r.Latency.Quantile(0.5))
	out.Metrics[report.P99Ms] = milliseconds(r.Latency.Quantile(0.99))
	out.Metrics[report.P999Ms] = milliseconds(r.Latency.Quantile(0.999))
	out.Metrics[report.MaxMs] = milliseconds(r.Latency.Max())
	m.add(out.Metrics, ops)
	return out
}

// add adds the figures per operation that are known.
func (m meter) add(out report.Metrics, ops float64) {
	if m.begin.server != nil && m.end.server != nil {
		out[report.ServerCPU] = microseconds(m.end.server.CPU-m.begin.server.CPU) / ops
		if m.begin.server.WrittenBytes >= 0 && m.end.server.WrittenBytes >= 0 {
			out[report.WrittenBytes] = float64(m.end.server.WrittenBytes-m.begin.server.WrittenBytes) / ops
		}
	}
	if m.begin.client != nil && m.end.client != nil {
		out[report.ClientCPU] = microseconds(m.end.client.CPU-m.begin.client.CPU) / ops
	}
	if m.begin.syncsOK && m.end.syncsOK {
		out[report.Syncs] = (m.end.syncs - m.begin.syncs) / ops
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
