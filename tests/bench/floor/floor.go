// Package floor measures what the machine allows at best: how fast it syncs a small write, and how fast a byte goes
// through the loopback interface and back.
package floor

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"kahuna/tests/bench/hist"
)

const (
	blockBytes   = 4096
	fileBlocks   = 256
	messageBytes = 64
)

// Figure is how often something can be done by one thread, one after the other.
type Figure struct {
	PerSecond float64 `json:"per_second"`
	P50Us     float64 `json:"p50_us"`
	P99Us     float64 `json:"p99_us"`
}

// Result is the floor of a machine.
type Result struct {
	Sync     Figure `json:"fdatasync_4k_overwrite"`
	Loopback Figure `json:"loopback_round_trip"`
}

// Measure takes about twice d. The file is made in dir, which the caller removes.
func Measure(ctx context.Context, dir string, d time.Duration) (Result, error) {
	var r Result
	var err error
	if r.Sync, err = measureSync(ctx, dir, d); err != nil {
		return r, fmt.Errorf("measure fdatasync: %w", err)
	}
	if r.Loopback, err = measureLoopback(ctx, d); err != nil {
		return r, fmt.Errorf("measure the loopback round trip: %w", err)
	}
	return r, nil
}

// repeat does one thing after the other for about d.
func repeat(ctx context.Context, d time.Duration, do func() error) (Figure, error) {
	var h hist.Histogram
	began := time.Now()
	for before := began; before.Sub(began) < d; {
		if err := ctx.Err(); err != nil {
			return Figure{}, err
		}
		if err := do(); err != nil {
			return Figure{}, err
		}
		now := time.Now()
		h.Record(now.Sub(before), 1)
		before = now
	}
	return Figure{
		PerSecond: float64(h.Count()) / time.Since(began).Seconds(),
		P50Us:     float64(h.Quantile(0.5)) / float64(time.Microsecond),
		P99Us:     float64(h.Quantile(0.99)) / float64(time.Microsecond),
	}, nil
}

// measureSync overwrites blocks of a file that is already on disk in full, so that only data is synced.
func measureSync(ctx context.Context, dir string, d time.Duration) (Figure, error) {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return Figure{}, err
	}
	defer f.Close()
	block := make([]byte, blockBytes)
	for i := range block {
		block[i] = byte(i)
	}
	for i := range int64(fileBlocks) {
		if _, err := f.WriteAt(block, i*blockBytes); err != nil {
			return Figure{}, err
		}
	}
	if err := f.Sync(); err != nil {
		return Figure{}, err
	}
	n := int64(0)
	return repeat(ctx, d, func() error {
		block[0]++
		n++
		if _, err := f.WriteAt(block, n%fileBlocks*blockBytes); err != nil {
			return err
		}
		return syncData(f)
	})
}

func measureLoopback(ctx context.Context, d time.Duration) (Figure, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Figure{}, err
	}
	echoed := make(chan struct{})
	go func() { defer close(echoed); echo(l) }()
	defer func() { <-echoed }()
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return Figure{}, err
	}
	defer c.Close()
	message := make([]byte, messageBytes)
	return repeat(ctx, d, func() error {
		if _, err := c.Write(message); err != nil {
			return err
		}
		_, err := io.ReadFull(c, message)
		return err
	})
}

// echo serves one connection until it is closed.
func echo(l net.Listener) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	message := make([]byte, messageBytes)
	for {
		if _, err := io.ReadFull(c, message); err != nil {
			return
		}
		if _, err := c.Write(message); err != nil {
			return
		}
	}
}
