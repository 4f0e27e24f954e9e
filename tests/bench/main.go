// Command bench compares Kahuna with a Redis that syncs its log before each reply and with an etcd of one node, in one
// run on one machine: it starts each of them, runs the same workloads on all in alternating rounds, and prints a table
// of medians with the goals of the project. See docs/performance.md.
//
//	go run ./tests/bench [flags]
//
// The exit code is 1 when a cell failed (more than 0.1% errors, a lost connection, no work done), 2 for wrong flags, 130
// when interrupted. A goal that is not reached fails nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"kahuna/tests/bench/plot"
	"kahuna/tests/bench/report"
)

const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run does everything and returns the exit code: the table goes to out, progress and errors to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parseOptions(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	b := &bench{options: o, progress: progress, report: &report.Report{Command: args, Nodes: o.nodes}}
	err = b.run(ctx)
	if ctx.Err() != nil {
		fmt.Fprintln(progress, "bench: interrupted; all servers are stopped and their data removed")
		return exitInterrupted
	}
	if err == nil {
		b.report.Goals = b.report.Evaluate()
		err = errors.Join(b.report.Write(out), writeJSON(o.json, b.report), plots(o.plots, b.report))
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return exitFailed
	}
	if len(b.report.Failures()) > 0 {
		return exitFailed
	}
	return exitOK
}

// plots draws the report; an empty directory means not to.
func plots(dir string, r *report.Report) error {
	if dir == "" {
		return nil
	}
	return plot.Write(dir, r)
}

// writeJSON writes the report to a file; an empty path means none.
func writeJSON(path string, r *report.Report) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
