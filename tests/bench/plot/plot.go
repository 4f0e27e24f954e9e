// Package plot draws what a run of the bench found: a dot per workload and system on a logarithmic scale, as SVG and as PNG.
package plot

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"kahuna/tests/bench/report"
	"kahuna/tests/bench/system"
)

// chart is one picture.
type chart struct {
	file   string
	title  string
	axis   string
	metric report.Metric
}

var charts = []chart{
	{"throughput", "operations per second (more is better)", "operations per second", report.OpsPerSecond},
	{"p99", "latency, 99th percentile (less is better)", "milliseconds", report.P99Ms},
	{"cpu", "CPU of all server processes (less is better)", "microseconds per operation", report.ServerCPU},
}

var styles = map[string]draw.GlyphStyle{
	system.Kahuna: {Color: color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}, Radius: 4, Shape: draw.CircleGlyph{}},
	system.Redis:  {Color: color.RGBA{R: 0xd6, G: 0x27, B: 0x28, A: 0xff}, Radius: 4, Shape: draw.BoxGlyph{}},
	system.Etcd:   {Color: color.RGBA{R: 0x7f, G: 0x7f, B: 0x7f, A: 0xff}, Radius: 4, Shape: draw.PyramidGlyph{}},
}

const (
	frame   = 1.5 * vg.Inch
	columns = 0.42 * vg.Inch // the width for each workload
	height  = 5.5 * vg.Inch
)

// Write draws all charts of a report into a directory, which is made if need be. Each has the number of nodes in its name.
func Write(dir string, r *report.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		p, workloads, err := c.draw(r)
		if err != nil {
			return fmt.Errorf("draw %s: %w", c.file, err)
		}
		for _, format := range []string{"svg", "png"} {
			file := filepath.Join(dir, fmt.Sprintf("%s-%d.%s", c.file, r.Nodes, format))
			if err := p.Save(frame+columns*vg.Length(workloads), height, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// draw puts the workloads side by side on a logarithmic scale: they lie far apart.
func (c chart) draw(r *report.Report) (p *plot.Plot, workloads int, err error) {
	p = plot.New()
	p.Title.Text = fmt.Sprintf("%s, nodes: %d", c.title, r.Nodes)
	p.Y.Label.Text = c.axis
	p.Legend.Top = true
	titles, ids := rows(r)
	low, high := math.Inf(1), 0.0
	for _, s := range r.Systems {
		dots := c.dots(r, s.Name, ids)
		if len(dots) == 0 {
			continue
		}
		for _, d := range dots {
			low, high = min(low, d.Y), max(high, d.Y)
		}
		scatter, err := plotter.NewScatter(dots)
		if err != nil {
			return nil, 0, err
		}
		scatter.GlyphStyle = styles[s.Name]
		p.Add(scatter)
		p.Legend.Add(s.Name, scatter)
	}
	if high > 0 {
		p.Add(plotter.NewGrid())
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Min, p.Y.Max = math.Pow10(int(math.Floor(math.Log10(low)))), math.Pow10(int(math.Floor(math.Log10(high)))+1)
	} else {
		p.Y.Min, p.Y.Max = 0, 1
	}
	p.NominalX(titles...)
	p.X.Min, p.X.Max = -0.5, float64(len(ids))-0.5
	p.X.Tick.Label.Rotation = math.Pi / 3
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
	return p, max(1, len(ids)), nil
}

// dots are a system's figures by the place of their workload; those that were not measured are left out.
func (c chart) dots(r *report.Report, system string, ids []string) (dots plotter.XYs) {
	for i, id := range ids {
		if cell := r.Cell(system, id); cell.OK() && cell.Median[c.metric] > 0 {
			dots = append(dots, plotter.XY{X: float64(i), Y: cell.Median[c.metric]})
		}
	}
	return dots
}

// rows are the workloads in the order of the table.
func rows(r *report.Report) (titles, ids []string) {
	seen := map[string]bool{}
	for _, c := range r.Cells {
		if !seen[c.ID] {
			seen[c.ID] = true
			titles, ids = append(titles, c.Title), append(ids, c.ID)
		}
	}
	return titles, ids
}
