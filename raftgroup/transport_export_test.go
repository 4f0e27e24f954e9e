package raftgroup

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// For the tests outside of the package, which may import simnet.

type (
	Guard     = guard
	TermQuery = termQuery
)

type Mux struct{ m *mux }

func NewMux(net Network, heartbeat time.Duration, answer func([]termQuery) []bool) Mux {
	return Mux{newMux(net, heartbeat, answer)}
}
func (m Mux) Open(group uint32, g guard) raft.Transport { return m.m.open(group, g) }
func (m Mux) Close()                                    { m.m.Close() }
func (m Mux) Confirm(ctx context.Context, addr string, qs []TermQuery) ([]bool, error) {
	return m.m.confirm(ctx, addr, qs)
}
