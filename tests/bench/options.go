package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"kahuna/tests/bench/system"
	"kahuna/tests/bench/workload"
)

// Bounds of the numbers a user may give, so that every run ends.
const (
	roundsMax  = 100
	clientsMax = 10_000
	secondsMax = 600
	nodesMax   = 9
	rateMax    = 10_000_000
)

// options are what the flags say.
type options struct {
	systems   []string
	workloads []workload.Workload
	measure   time.Duration // measured time of a cell in one round
	warmup    time.Duration
	rounds    int
	nodes     int // of each system
	rate      float64
	quick     bool
	kahuna    string // path of a built binary; empty: build it
	dir       string
	json      string
	plots     string
}

var allSystems = []string{system.Kahuna, system.Redis, system.Etcd}

// parseOptions reads the flags. What is wrong with them is also printed to out.
func parseOptions(args []string, out io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	systems := fs.String("systems", strings.Join(allSystems, ","), "systems to compare, separated by commas")
	pattern := fs.String("workloads", "", "regular expression; only workloads with a matching id run: "+strings.Join(ids(), " "))
	seconds := fs.Float64("seconds", 2, "measured seconds per cell and round; a warm-up of one eighth comes before")
	clients := fs.Int("clients", 50, "clients of the workloads that are not about the number of clients")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds; the result is the median")
	fs.IntVar(&o.nodes, "nodes", 1, "nodes of each system, all on this machine; clients are spread over them. Redis takes part with one node only")
	fs.Float64Var(&o.rate, "rate", 0, "operations (or pipelines) per second over all clients, each due at its time whatever the others do; 0: closed loop")
	fs.BoolVar(&o.quick, "quick", false, "one round of 0.5 s per cell and a short look at idle servers: a trial, not a measurement")
	fs.StringVar(&o.kahuna, "kahuna", "", "path of a kahuna binary (default: build this module)")
	fs.StringVar(&o.dir, "dir", ".", "directory for the data of all servers, on the disk to be measured")
	fs.StringVar(&o.json, "json", "", "file for everything that was measured, as JSON")
	fs.StringVar(&o.plots, "plots", "", "directory for plots of the figures, as SVG and PNG")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	err := o.fill(fs.Args(), *systems, *pattern, *seconds, *clients)
	if err != nil {
		fmt.Fprintln(out, "bench:", err)
	}
	return o, err
}

// fill checks the values and sets what follows from them.
func (o *options) fill(rest []string, systems, pattern string, seconds float64, clients int) error {
	if o.quick {
		seconds, o.rounds = 0.5, 1
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.rounds < 1 || o.rounds > roundsMax:
		return fmt.Errorf("--rounds must be 1 to %d", roundsMax)
	case o.nodes < 1 || o.nodes > nodesMax:
		return fmt.Errorf("--nodes must be 1 to %d", nodesMax)
	case !(seconds >= 0.1 && seconds <= secondsMax):
		return fmt.Errorf("--seconds must be 0.1 to %d", secondsMax)
	case o.rate < 0 || o.rate > rateMax:
		return fmt.Errorf("--rate must be 0 to %d", int64(rateMax))
	case clients < 1 || clients > clientsMax:
		return fmt.Errorf("--clients must be 1 to %d", clientsMax)
	}
	o.measure = time.Duration(seconds * float64(time.Second))
	o.warmup = o.measure / 8
	if err := o.chooseSystems(systems); err != nil {
		return err
	}
	return o.chooseWorkloads(pattern, clients)
}

func (o *options) chooseSystems(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(allSystems, name) {
			return fmt.Errorf("unknown system %q, there are %s", name, strings.Join(allSystems, ", "))
		}
		if name == system.Redis && o.nodes > 1 {
			continue // what it replicates is not what the others do
		}
		if !slices.Contains(o.systems, name) {
			o.systems = append(o.systems, name)
		}
	}
	return nil
}

func (o *options) chooseWorkloads(pattern string, clients int) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("--workloads: %w", err)
	}
	for _, w := range workload.All(clients) {
		if re.MatchString(w.ID) {
			o.workloads = append(o.workloads, w)
		}
	}
	if len(o.workloads) == 0 {
		return errors.New("--workloads matches none of " + strings.Join(ids(), " "))
	}
	return nil
}

func ids() []string {
	var out []string
	for _, w := range workload.All(1) {
		out = append(out, w.ID)
	}
	return out
}
