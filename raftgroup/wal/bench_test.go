package wal

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
)

// BenchmarkStoreLogs appends 128-byte entries with real syncs; one operation is one call of so many entries by one group. All groups
// call at once.
func BenchmarkStoreLogs(b *testing.B) {
	for _, groups := range []int{1, 16} {
		for _, entries := range []int{1, 64} {
			b.Run(fmt.Sprintf("groups=%d/entries=%d", groups, entries), func(b *testing.B) { benchmarkStore(b, groups, entries) })
		}
	}
}

func benchmarkStore(b *testing.B, groups, entries int) {
	l := open(b, Options{Dir: b.TempDir()})
	defer l.Close()
	data := make([]byte, 128)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for id := range groups {
		calls := b.N / groups
		if id < b.N%groups {
			calls++
		}
		wg.Go(func() { appendCalls(b, l.Group(uint32(id)), calls, entries, data) })
	}
	wg.Wait()
	b.StopTimer()
	s := l.Stats()
	b.ReportMetric(float64(s.Syncs)/float64(b.N), "syncs/op")
	b.ReportMetric(float64(b.N*entries)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(s.Syncs)/b.Elapsed().Seconds(), "syncs/s")
}

// appendCalls keeps the last 10,000 entries, as raft does.
func appendCalls(b *testing.B, g *Group, calls, entries int, data []byte) {
	next, first := uint64(1), uint64(1)
	logs := make([]*raft.Log, entries)
	for i := range logs {
		logs[i] = &raft.Log{Term: 1, Data: data}
	}
	for range calls {
		for i := range logs {
			logs[i].Index = next
			next++
		}
		if err := g.StoreLogs(logs); err != nil {
			b.Error(err)
			return
		}
		if next-first > 20000 {
			if err := g.DeleteRange(first, next-10000); err != nil {
				b.Error(err)
				return
			}
			first = next - 9999
		}
	}
}

func BenchmarkGetLogFromDisk(b *testing.B) {
	o := Options{Dir: b.TempDir(), Sync: noSync}
	l := open(b, o)
	check(b, l.Group(1).StoreLogs(run(1, 10000, 1, 128)))
	check(b, l.Close())
	l = open(b, o)
	defer l.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		var out raft.Log
		check(b, l.Group(1).GetLog(uint64(i%10000)+1, &out))
	}
}
