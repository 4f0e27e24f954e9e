// Package clustertest opens real nodes for tests, and looks at what they leave behind. All of it is meant for a bubble of
// testing/synctest, in which waiting costs nothing.
package clustertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kahuna/cluster"
	"kahuna/internal/clock"
	"kahuna/raftgroup"
)

// Epoch is what the wall clocks of bubbles, which begin in the year 2000, are put ahead by: timestamps begin in 2025.
const Epoch = 30 * 365 * 24 * time.Hour

// Clock is a wall clock that can be jumped, from 2029 on.
func Clock() *clock.Skewed {
	c := clock.Skew(clock.Real())
	c.Set(Epoch)
	return c
}

// Config is one of a node alone in a directory.
func Config(dir string, partitions int) cluster.Config {
	return cluster.Config{DataDir: dir, Clock: Clock(), Network: raftgroup.NewLoopback("node:1"), BootID: "boot", Partitions: partitions,
		RandomID: func() string { return fmt.Sprintf("%040x", 1) }, Logger: zerolog.Nop(), MemtableBytes: 4 << 20,
		Timing: raftgroup.Timing{HeartbeatTimeout: 50 * time.Millisecond, ElectionTimeout: 50 * time.Millisecond}}
}

// Open opens a node and waits until it serves. Who opens it closes it.
func Open(t *testing.T, cfg cluster.Config) *cluster.Node {
	t.Helper()
	n, err := cluster.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if err = n.Ready(); err == nil {
			return n
		}
		time.Sleep(5 * time.Millisecond)
	}
	n.Close()
	t.Fatalf("the node does not get ready: %v", err)
	return nil
}

// Close closes a node.
func Close(t *testing.T, n *cluster.Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// Settled waits until nothing of any transaction is left in the store but records that say aborted or are kept to tell what became of
// it, and no lock of one in memory, and sees that the store does
// not contradict itself. Nothing may be written meanwhile.
func Settled(t *testing.T, n *cluster.Node) cluster.Inspection {
	t.Helper()
	var found cluster.Inspection
	var err error
	for range 1000 {
		found, err = n.Inspect()
		if err == nil && found.Intents+found.Pending+found.Committed+found.Advised == 0 && len(found.Wrong) == 0 {
			return found
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("what is left in the store: %+v, %v", found, err)
	return found
}
