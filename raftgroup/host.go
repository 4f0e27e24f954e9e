package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rs/zerolog"
)

// HostConfig is what a host is made of.
type HostConfig struct {
	NodeID  string
	Network Network
	Logs    func(group uint32) LogStore
	Logger  zerolog.Logger
	Timing  Timing
	// OnFault is called once per group that stopped for good, on a goroutine of the group. It must not close the group and wait
	// for it. May be nil.
	OnFault func(group uint32, err error)
}

// Host runs the groups of one node.
type Host struct {
	cfg    HostConfig
	mux    *mux
	rounds *rounds
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.RWMutex
	groups map[uint32]*Group // nil: being opened
	closed bool
}

// NewHost makes a host without groups, which answers other nodes from now on.
func NewHost(cfg HostConfig) *Host {
	cfg.Timing = cfg.Timing.withDefaults()
	h := &Host{cfg: cfg, groups: map[uint32]*Group{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.mux = newMux(cfg.Network, cfg.Timing.HeartbeatTimeout, h.answer)
	h.rounds = newRounds(h.ctx, cfg.Timing.ConfirmTimeout, h.mux.confirm)
	return h
}

// Open opens a group's replica. A damaged or missing part of its state is an error.
func (h *Host) Open(cfg GroupConfig) (*Group, error) {
	if err := h.reserve(cfg.ID); err != nil {
		return nil, err
	}
	g, err := openGroup(h, cfg)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		delete(h.groups, cfg.ID)
		return nil, fmt.Errorf("raftgroup: opening group %d: %w", cfg.ID, err)
	}
	h.groups[cfg.ID] = g
	return g, nil
}

func (h *Host) reserve(id uint32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if _, ok := h.groups[id]; ok {
		return fmt.Errorf("raftgroup: group %d is open", id)
	}
	h.groups[id] = nil
	return nil
}

func (h *Host) forget(g *Group) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.groups[g.cfg.ID] == g {
		delete(h.groups, g.cfg.ID)
	}
}

// answer tells for each query whether this node's term still does not exceed the one asked about. It is a promise about the
// past only: a replica raises its durable term before it votes, so it has not voted for a newer leader so far.
func (h *Host) answer(queries []termQuery) []bool {
	out := make([]bool, len(queries))
	h.mu.RLock()
	defer h.mu.RUnlock()
	for i, q := range queries {
		if g := h.groups[q.Group]; g != nil {
			out[i] = g.confirms(q.Term)
		}
	}
	return out
}

// Close closes all groups and joins everything. No group may be opened or closed by others meanwhile.
func (h *Host) Close() error {
	var errs []error
	for _, g := range h.closeAll() {
		errs = append(errs, g.Close())
	}
	h.cancel()
	h.mux.Close()
	h.rounds.close()
	return errors.Join(errs...)
}

func (h *Host) closeAll() []*Group {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	var open []*Group
	for _, g := range h.groups {
		if g != nil {
			open = append(open, g)
		}
	}
	return open
}
