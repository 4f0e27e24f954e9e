package commands

import (
	"context"
	"testing"
	"time"

	"kahuna/op"
	"kahuna/resp"
)

// instant is a Backend whose operations cost nothing.
type instant struct {
	*fake
	out []op.Outcome
}

func (b *instant) Do(_ context.Context, ops []op.Op) []op.Outcome { return b.out[:len(ops)] }

// BenchmarkPipeline is what parsing and replying cost for each command of a pipeline of 16.
func BenchmarkPipeline(b *testing.B) {
	for name, line := range map[string]string{"SET": "SET key:000001 value", "GET": "GET key:000001", "LOCK": "LOCK name owner 30000"} {
		b.Run(name, func(b *testing.B) {
			backend := &instant{newFake(time.Now), make([]op.Outcome, 1024)}
			for i := range backend.out {
				backend.out[i].Result = op.Result{Done: true, Found: true, Int: 1 << 50, Value: []byte("value")}
			}
			h := NewHandler(Options{Backend: backend, Now: time.Now, Rand: newRig(Limits{}).random})
			s := h.Open(Conn{ID: 1})
			defer s.Close()
			batch := make([]Request, 16)
			for i := range batch {
				batch[i] = bytesOf(line)[0]
			}
			var w resp.Writer
			b.ReportAllocs()
			for b.Loop() {
				w.Reset()
				s.Serve(context.Background(), batch, &w)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/command")
		})
	}
}
