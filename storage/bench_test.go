package storage

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// cpuTime is the processor time used by the process, which says more than wall time on a shared machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchKey(i int) []byte {
	k := make([]byte, 40)
	copy(k, "d\x01")
	binary.BigEndian.PutUint64(k[2:], uint64(i)*0x9E3779B97F4A7C15)
	return k
}

func benchStore(b *testing.B, keys int) *Store {
	b.Helper()
	s := mustOpen(b, Options{Dir: b.TempDir(), Logger: zerolog.Nop()})
	b.Cleanup(func() { _ = s.Close() })
	for i := 0; i < keys; {
		w := s.NewBatch()
		for ; i < keys && w.Len() < 1000; i++ {
			w.Set(benchKey(i), make([]byte, 128))
		}
		must(b, w.Commit())
	}
	return s
}

// BenchmarkBatch is an operation as the state machine makes it: read a key, write it and one more record.
func BenchmarkBatch(b *testing.B) {
	for _, keys := range []int{10_000, 1_000_000} {
		for _, ops := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("keys=%d/ops=%d", keys, ops), func(b *testing.B) {
				s := benchStore(b, keys)
				rnd, value := rand.New(rand.NewPCG(1, 1)), make([]byte, 128)
				b.ReportAllocs()
				b.ResetTimer()
				start := cpuTime()
				for i := 0; i < b.N; {
					w := s.NewBatch()
					for n := 0; n < ops && i < b.N; n, i = n+1, i+1 {
						k := benchKey(rnd.IntN(keys))
						if _, _, err := w.Get(k); err != nil {
							b.Fatal(err)
						}
						w.Set(k, value)
						h := append(append(make([]byte, 0, 50), 'h'), k[1:]...)
						w.Set(binary.BigEndian.AppendUint64(h, uint64(i)), value)
					}
					must(b, w.Commit())
				}
				b.ReportMetric(float64(cpuTime()-start)/float64(b.N)/1e3, "cpu-us/op")
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, cache := range []int64{0, 8 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("cache=%dMiB", cache>>20), func(b *testing.B) {
			const keys = 300_000
			dir := b.TempDir()
			s := mustOpen(b, Options{Dir: dir, Logger: zerolog.Nop()})
			for i := 0; i < keys; {
				w := s.NewBatch()
				for ; i < keys && w.Len() < 1000; i++ {
					w.Set(benchKey(i), make([]byte, 128))
				}
				must(b, w.Commit())
			}
			must(b, s.Close())
			s = mustOpen(b, Options{Dir: dir, Logger: zerolog.Nop(), BlockCacheBytes: cache})
			defer s.Close()
			v, rnd := s.Snapshot(), rand.New(rand.NewPCG(1, 1))
			defer v.Close()
			b.ReportAllocs()
			b.ResetTimer()
			start := cpuTime()
			for b.Loop() {
				if _, ok, err := v.Get(benchKey(rnd.IntN(keys))); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
			b.ReportMetric(float64(cpuTime()-start)/float64(b.N)/1e3, "cpu-us/op")
		})
	}
}

// BenchmarkCheckpoint is a checkpoint after 1,000 keys were written, and how long commits have to wait for it.
func BenchmarkCheckpoint(b *testing.B) {
	s := benchStore(b, 10_000)
	var pause time.Duration
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		w := s.NewBatch()
		for i := range 1000 {
			w.Set(benchKey(n*1000+i), make([]byte, 128))
		}
		must(b, w.Commit())
		_, err := s.readMems(false)
		must(b, err)
		start := time.Now()
		_, _, err = s.capture(nil)
		must(b, err)
		pause += time.Since(start)
		b.StartTimer()
		must(b, s.Checkpoint(nil))
	}
	b.ReportMetric(float64(pause.Microseconds())/float64(b.N), "pause-us/op")
}
