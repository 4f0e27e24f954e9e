// Command go is example programs in Go with go-redis: leader election, cron that runs once, a rate limit, ordered ids,
// inventory, service discovery and feature flags. Each is one file to copy from; this one only chooses.
//
//	go run ./examples/go NAME [ARGUMENT...]
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/redis/go-redis/v9"
)

var examples = map[string]struct {
	arguments string
	count     int
	run       func(ctx context.Context, rdb *redis.Client, args []string) error
}{
	"leader":   {"NAME MACHINE", 2, runLeader},
	"cron":     {"NAME PERIOD MACHINE", 3, runCron},
	"rate":     {"NAME LIMIT SECONDS", 3, runRate},
	"order":    {"ORDER", 1, runOrder},
	"reserve":  {"ARTICLE N ORDER", 3, runReserve},
	"cancel":   {"ARTICLE ORDER", 2, runCancel},
	"register": {"SERVICE HOST:PORT", 2, runRegister},
	"discover": {"SERVICE", 1, runDiscover},
	"flags":    {"NAME", 1, runFlags},
}

func main() {
	args := append(os.Args[1:], "")
	e, ok := examples[args[0]]
	if args = args[1 : len(args)-1]; !ok || len(args) != e.count {
		for name, e := range examples {
			fmt.Fprintln(os.Stderr, "usage: go run ./examples/go", name, e.arguments)
		}
		os.Exit(64)
	}
	addr := os.Getenv("KAHUNA_ADDR")
	if addr == "" {
		addr = "127.0.0.1:6379"
	}
	rdb := redis.NewClient(&redis.Options{
		Addr:                  addr,
		MaxRetries:            -1,   // repeat nothing that may have taken effect: what may be repeated, these programs repeat
		ContextTimeoutEnabled: true, // or a deadline would not end a call that waits
	})
	defer rdb.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := e.run(ctx, rdb, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
