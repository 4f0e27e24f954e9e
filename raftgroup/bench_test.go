package raftgroup

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
)

// nothing is a state machine that only counts.
type nothing struct{ index uint64 }

func (n *nothing) Apply(entries []Entry) ([]any, error) {
	n.index = entries[len(entries)-1].Index
	return make([]any, len(entries)), nil
}
func (n *nothing) Applied() uint64                    { return n.index }
func (n *nothing) Durable() (uint64, error)           { return n.index, nil }
func (n *nothing) Snapshot(io.Writer) (uint64, error) { return n.index, nil }
func (n *nothing) Restore(io.Reader, uint64) error    { return nil }

func benchGroup(b *testing.B) *Group {
	a := newAlone(b).open()
	leads := make(chan uint64, 1)
	g, err := a.host.Open(GroupConfig{ID: 8, Machine: &nothing{}, Dir: b.TempDir(),
		Bootstrap: []Peer{{ID: "a", Addr: "addr-a", Voter: true}}, OnLeader: func(term uint64) { leads <- term }})
	if err != nil {
		b.Fatal(err)
	}
	<-leads
	return g
}

// BenchmarkPropose measures proposals of 128 bytes, to their results, over a real log.
func BenchmarkPropose(b *testing.B) {
	for _, proposers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("proposers=", proposers), func(b *testing.B) {
			g := benchGroup(b)
			data := make([]byte, 128)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range proposers {
				n := (b.N + proposers - 1 - i) / proposers
				wg.Go(func() {
					for range n {
						if _, _, err := g.Propose(data).Wait(context.Background()); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func BenchmarkReadIndex(b *testing.B) {
	for _, name := range []string{"one", "parallel"} {
		b.Run(name, func(b *testing.B) {
			g := benchGroup(b)
			ctx := context.Background()
			b.ReportAllocs()
			b.ResetTimer()
			if name == "one" {
				for range b.N {
					if err := g.ReadIndex(ctx); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := g.ReadIndex(ctx); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
