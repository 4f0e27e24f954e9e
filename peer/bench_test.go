package peer

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kahuna/raftgroup"
)

// fixedHandler answers at once with as many bytes as it got.
type fixedHandler struct{}

func (fixedHandler) HandleCall(_ context.Context, request []byte) ([]byte, error) {
	return request, nil
}

func (fixedHandler) HandleStream(_ context.Context, _ []byte, body io.Reader) ([]byte, error) {
	buf := make([]byte, 256<<10)
	for {
		if _, err := body.Read(buf); err == io.EOF {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
}

func benchPair(b *testing.B, h raftgroup.NetworkHandler) (from, to *Network) {
	quiet := func(c *Config) { c.Logger = zerolog.Nop() }
	return node(b, "a", h, quiet), node(b, "b", h, quiet)
}

// BenchmarkCall measures calls with 100 bytes each way and a deadline, both ends in this process: so the CPU time is that of both.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			from, to := benchPair(b, fixedHandler{})
			request := make([]byte, 100)
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			b.ReportAllocs()
			b.ResetTimer()
			began := cpuTime(b)
			var wg sync.WaitGroup
			for i := range callers {
				n := (b.N + callers - 1 - i) / callers
				wg.Go(func() {
					for range n {
						if _, err := from.Call(ctx, to.LocalAddr(), request); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			n := float64(b.N)
			b.ReportMetric(float64(cpuTime(b)-began)/n/1e3, "cpu-µs/op")
			b.ReportMetric(float64(from.Stats().Peers[0].Writes+to.Stats().Peers[0].Writes)/n, "writes/op")
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for _, read := range []int{32 << 10, 64<<10 + 8, 256 << 10} {
		b.Run(fmt.Sprint("read=", read), func(b *testing.B) {
			from, to := benchPair(b, fixedHandler{})
			const size = 256 << 20
			b.SetBytes(size)
			began := cpuTime(b)
			for range b.N {
				body := io.LimitReader(readerFunc(func(p []byte) (int, error) { return min(len(p), read), nil }), size)
				if _, err := from.Stream(context.Background(), to.LocalAddr(), nil, body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
