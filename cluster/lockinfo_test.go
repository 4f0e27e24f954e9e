package cluster_test

import (
	"testing"
	"time"

	"kahuna/cluster"
	"kahuna/op"
)

// What is left of a lease is told whichever way the read goes: alone, behind a write in one log entry, inside a Multi.
func TestRemainingLeaseIsTold(t *testing.T) {
	onNode(t, 4, func(t *testing.T, n *cluster.Node) {
		info := &op.LockInfo{Name: []byte("l")}
		do(t, n, &op.LockAcquire{Name: []byte("l"), Owner: []byte("o"), TTLMilli: 10_000})
		time.Sleep(4 * time.Second)
		out := do(t, n, info, set("{l}", "1"), info, &op.Multi{Ops: []op.Op{set("{l}", "2"), info}})
		for i, lock := range []*op.LockState{do(t, n, info)[0].Lock, out[0].Lock, out[2].Lock, out[3].Sub[1].Lock} {
			if lock == nil || lock.Holds[0].TTLMilli > 6000 || lock.Holds[0].TTLMilli < 5000 {
				t.Errorf("read %d: %+v, want 6 s", i, lock)
			}
		}
	})
}
