package cluster

import (
	"maps"
	"sync"
	"sync/atomic"

	"kahuna/partition"
)

// replicaSet is a node's replicas by the ids of their partitions. They are looked up for each operation and change seldom: a map is
// never changed, a new one replaces it.
type replicaSet struct {
	mu sync.Mutex // for changes
	by atomic.Pointer[map[uint32]*partition.Replica]
}

func (s *replicaSet) get(id uint32) *partition.Replica {
	if by := s.by.Load(); by != nil {
		return (*by)[id]
	}
	return nil
}

func (s *replicaSet) all() map[uint32]*partition.Replica {
	if by := s.by.Load(); by != nil {
		return *by
	}
	return nil
}

func (s *replicaSet) change(fn func(by map[uint32]*partition.Replica)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(s.all())
	if next == nil {
		next = map[uint32]*partition.Replica{}
	}
	fn(next)
	s.by.Store(&next)
}

func (s *replicaSet) add(r *partition.Replica) {
	s.change(func(by map[uint32]*partition.Replica) { by[r.ID()] = r })
}

func (s *replicaSet) remove(id uint32) {
	s.change(func(by map[uint32]*partition.Replica) { delete(by, id) })
}

// takeAll leaves nothing.
func (s *replicaSet) takeAll() map[uint32]*partition.Replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all()
	s.by.Store(&map[uint32]*partition.Replica{})
	return all
}
