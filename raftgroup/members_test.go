package raftgroup

import (
	"context"
	"testing"
	"time"
)

// A configuration that may still be lost is told to nobody who would give up a replica for it.
func TestCommittedMembers(t *testing.T) {
	patient := Timing{HeartbeatTimeout: 2 * time.Minute, ElectionTimeout: 2 * time.Minute, LeaseTimeout: 2 * time.Minute}
	inCluster(t, 3, 0, patient, func(t *testing.T, c *cluster) {
		l := c.leader()
		l.propose("before")
		c.wires.set(func() {
			c.wires.before = func(_, _ string, request []byte) error {
				if request[0] == kindAppend {
					return errCut
				}
				return nil
			}
		})
		removed := make(chan error, 1)
		go func() { removed <- l.group.Remove(context.Background(), c.others(l)[0].id) }()
		c.until("the change is in the leader's log", func() bool { return len(l.group.Status().Peers) == 2 })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := l.group.ReadIndex(ctx); err != nil {
			t.Fatal(err)
		}
		if peers, err := l.group.CommittedMembers(ctx); err == nil {
			t.Fatalf("told %v, which is not committed", peers)
		}
		c.wires.set(func() { c.wires.before = nil })
		if err := <-removed; err != nil {
			t.Fatal(err)
		}
		if peers, err := l.group.CommittedMembers(t.Context()); err != nil || len(peers) != 2 {
			t.Fatal(peers, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := l.group.ReadIndex(ctx); err != nil {
			t.Fatal("reads wait after members were asked for:", err)
		}
	})
}
