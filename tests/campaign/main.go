// Command campaign runs a cluster of real processes for as long as asked, brings every fault over it, alone and several at a time, has
// clients of every kind work meanwhile, and judges what they saw:
//
//	go run ./tests/campaign --minutes 60 --seed 17
//
// It ends by itself, with exit code 0 when every promise was kept and something was there to break it: a run in which no leader
// changed, no fault had effect, or clients got nothing done before, during or after one, has failed. A failed run keeps what the
// clients did and saw, the logs and the data of the nodes, and says where. Ctrl-C ends it early and clears everything away.
//
// It needs Linux, root, and the commands ip, nft and mkfs.ext4. docs/reliability.md says what is claimed by it and what it has found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	minutes    float64
	seed       uint64
	nodes      int
	spare      int
	partitions int
	diskMiB    int64
	from       string
	keep       string
	only       string
	root       string
}

func main() {
	o := options{}
	flag.Float64Var(&o.minutes, "minutes", 5, "how long faults go on; it takes a little longer, for the round under way and the last look at everything")
	flag.Uint64Var(&o.seed, "seed", 0, "of all random choices; 0: a new one")
	flag.IntVar(&o.nodes, "nodes", 4, "of the cluster at first, 3 to 9")
	flag.IntVar(&o.spare, "spare", 1, "places for nodes that join later; 0: none join")
	flag.IntVar(&o.partitions, "partitions", 4, "with data, at first")
	flag.Int64Var(&o.diskMiB, "disk-mib", 640, "the size of each node's own disk; 0: directories in memory, and no faults of disks")
	flag.StringVar(&o.from, "from", "", "a git revision whose build is upgraded from; empty: another build of this one")
	flag.StringVar(&o.keep, "keep", "", "where a failed run leaves what it has; empty: a directory below the one for temporary files")
	flag.StringVar(&o.only, "faults", "", "only those whose names have this in them")
	flag.StringVar(&o.root, "root", ".", "the module's directory")
	flag.Parse()
	os.Exit(start(o))
}

func start(o options) int {
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	if o.keep == "" {
		o.keep = filepath.Join(os.TempDir(), fmt.Sprintf("kahuna-campaign-%d", o.seed))
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := run(ctx, o)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && !errors.As(err, new(*violation)):
		fmt.Println("campaign: stopped before its end; everything is cleared away")
		return 130
	}
	fmt.Printf("campaign: FAILED: %v\nagain: go run ./tests/campaign --seed %d --minutes %g --nodes %d --spare %d --partitions %d --disk-mib %d\n", err, o.seed, o.minutes, o.nodes, o.spare, o.partitions, o.diskMiB)
	return 1
}

func run(ctx context.Context, o options) (err error) {
	began := time.Now()
	fmt.Printf("campaign: seed %d, %g minutes, %d nodes and room for %d more, %d partitions\n", o.seed, o.minutes, o.nodes, o.spare, o.partitions)
	c, err := newCampaign(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	c.say("the cluster serves, %v after the start", time.Since(began).Round(time.Second))
	if err := c.rounds(); err != nil {
		return c.failed(err)
	}
	c.report("campaign: passed, 0 violations")
	return nil
}
