package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"kahuna/tests/bench/system"
)

// Write writes the whole report as Markdown.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s, %d CPUs (%s), kernel %s, %s, %s; median of %d rounds of %s s\n\n", m.OS, m.CPUs, m.CPU, m.Kernel, m.Go,
		m.Began, r.Rounds, number(r.SecondsS))
	r.writeFloor(&b)
	r.writeSystems(&b)
	r.writeCells(&b)
	writeGoals(&b, r.Goals)
	if failures := r.Failures(); len(failures) > 0 {
		b.WriteString("\nFAILED:\n\n- " + strings.Join(failures, "\n- ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeFloor(b *strings.Builder) {
	f := r.Floor
	row(b, "floor of this machine", "per second", "p50 us", "p99 us")
	row(b, "---", "--:", "--:", "--:")
	row(b, "fdatasync of a 4 KiB overwrite", number(f.Sync.PerSecond), number(f.Sync.P50Us), number(f.Sync.P99Us))
	row(b, "loopback TCP round trip", number(f.Loopback.PerSecond), number(f.Loopback.P50Us), number(f.Loopback.P99Us))
	b.WriteByte('\n')
}

func (r *Report) writeSystems(b *strings.Builder) {
	row(b, "system", "version", "ready ms", "idle RSS MiB", "idle CPU %", "RSS MiB at the end")
	row(b, "---", "---", "--:", "--:", "--:", "--:")
	for _, s := range r.Systems {
		if s.Skipped != "" {
			row(b, s.Name, "skipped: "+oneLine(s.Skipped), "-", "-", "-", "-")
			continue
		}
		rss, cpu := "-", "-"
		if s.IdleKnown {
			rss, cpu = number(s.IdleRSSMiB), fmt.Sprintf("%.2f", s.IdleCPUPercent)
		}
		version := oneLine(s.Version)
		if s.Failure != "" {
			version += " FAILED"
		}
		row(b, s.Name, version, positive(s.ReadyMs), rss, cpu, positive(s.EndRSSMiB))
	}
	b.WriteByte('\n')
}

func (r *Report) writeCells(b *strings.Builder) {
	row(b, "workload", "system", "ops/s", "p50 ms", "p99 ms", "p99.9 ms", "server CPU us/op", "written B/op", "fsyncs/op",
		"x Redis", "x etcd")
	row(b, "---", "---", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:")
	for _, c := range r.Cells {
		if !c.OK() {
			row(b, c.Title, c.System, "FAILED", "-", "-", "-", "-", "-", "-", "-", "-")
			continue
		}
		row(b, c.Title, c.System, c.show(OpsPerSecond), c.show(P50Ms), c.show(P99Ms), c.show(P999Ms), c.show(ServerCPU),
			c.show(WrittenBytes), c.show(Syncs), r.ratio(c, system.Redis), r.ratio(c, system.Etcd))
	}
	b.WriteByte('\n')
}

func writeGoals(b *strings.Builder, goals []Goal) {
	row(b, "goal for Kahuna", "measured", "")
	row(b, "---", "---", "---")
	for _, g := range goals {
		row(b, g.Text, g.Measured, g.State)
	}
}

// ratio is how many times the other system's operations per second c does.
func (r *Report) ratio(c *Cell, other string) string {
	of := r.ops(other, c.ID)
	if of == 0 {
		return "-"
	}
	return number(c.Median[OpsPerSecond] / of)
}

func (c *Cell) show(m Metric) string {
	v, ok := c.Median[m]
	if !ok {
		return "-"
	}
	return number(v)
}

func positive(v float64) string {
	if v <= 0 {
		return "-"
	}
	return number(v)
}

// number writes v with about three digits that matter, thousands separated.
func number(v float64) string {
	switch {
	case v < 0:
		return "-" + number(-v)
	case v >= 99.95:
		return thousands(int64(v + 0.5))
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.9995 || v == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

func row(b *strings.Builder, columns ...string) {
	b.WriteString("| " + strings.Join(columns, " | ") + " |\n")
}

// oneLine makes text fit a table cell.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "|", "/").Replace(strings.TrimSpace(s))
}

// Line is the progress line of one round.
func (r Round) Line() string {
	if r.Failure != "" {
		return "FAILED: " + r.Failure
	}
	m := r.Metrics
	return fmt.Sprintf("%10s ops/s  p50 %s  p99 %s ms  %.0f errors", number(m[OpsPerSecond]), number(m[P50Ms]), number(m[P99Ms]),
		m[Errors])
}
