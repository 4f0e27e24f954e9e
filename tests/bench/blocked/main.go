// Command blocked measures what clients cost that wait and do nothing: it starts Kahuna, has many connections wait for one lock (or
// for changes of keys), and says how much memory the servers have taken and how much CPU they use while nothing happens. See
// docs/performance.md.
//
//	go run ./tests/bench/blocked [--clients 10000] [--nodes 1] [--what lock|changes] [--through leader|other] [flags]
//
// This process and the server need a file descriptor for each client (ulimit -n).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"kahuna/tests/bench/system"
)

// options are what the flags say.
type options struct {
	clients int
	nodes   int
	what    string
	through string
	program string
	dir     string
	profile string
	idle    time.Duration
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "blocked:", err)
		}
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "blocked:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("blocked", flag.ContinueOnError)
	fs.IntVar(&o.clients, "clients", 10_000, "connections that wait")
	fs.IntVar(&o.nodes, "nodes", 1, "nodes of the cluster, all on this machine")
	fs.StringVar(&o.what, "what", "lock", "what they wait for: lock (one lock that somebody holds) or changes (of keys with one prefix)")
	fs.StringVar(&o.through, "through", "leader", "the node they connect to: the leader of the lock's partition, or another one (other)")
	fs.StringVar(&o.program, "kahuna", "", "path of a kahuna binary (default: build this module)")
	fs.StringVar(&o.dir, "dir", ".", "directory for the data")
	fs.StringVar(&o.profile, "profile", "", "directory for heap and goroutine profiles of the nodes while all wait")
	fs.DurationVar(&o.idle, "idle", 10*time.Second, "for how long the CPU is looked at while nothing happens")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.clients < 1 || o.clients > 100_000 || o.nodes < 1 || o.nodes > 9 || o.idle < time.Second || o.idle > 10*time.Minute:
		return o, errors.New("--clients must be 1 to 100000, --nodes 1 to 9, --idle 1s to 10m")
	case o.what != "lock" && o.what != "changes" || o.through != "leader" && o.through != "other":
		return o, errors.New("--what must be lock or changes, --through leader or other")
	case o.through == "other" && o.nodes < 2:
		return o, errors.New("--through other needs --nodes 2 or more")
	}
	return o, nil
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp(o.dir, ".kahuna-blocked-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if o.program == "" {
		o.program = filepath.Join(dir, "kahuna-under-test")
		if err := system.Build(ctx, o.program); err != nil {
			return err
		}
	}
	if err := os.Setenv("KAHUNA_CLIENTS_MAX", fmt.Sprint(o.clients+1000)); err != nil { // for the servers
		return err
	}
	s := system.NewKahuna(o.program)
	s.Nodes = o.nodes
	inst, err := system.Start(ctx, s, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inst.Stop()) }()
	return (&measurement{o: o, inst: inst}).run(ctx)
}
