package audit

import (
	"fmt"
	"maps"
	"slices"

	"kahuna/fsm"
	"kahuna/op"
)

// Report is what an audit found.
type Report struct {
	Violations []string // what must not be, whenever the nodes ended
	Left       []string // what may be there for a while, and must be gone soon
	Behind     []string // replicas that have not applied the same: nodes that ended in the middle of something
	Partitions int
	Replicas   int
	Keys       int // of all partitions, once
}

// Judge judges the stores of all members of a cluster.
func Judge(stores []*Store, keptMilli int64) (r Report) {
	nodes := map[string]*Store{}
	for _, s := range stores {
		r.Violations = append(r.Violations, s.violations...)
		r.Left = append(r.Left, s.Left(keptMilli)...)
		nodes[s.Node] = s
	}
	r.tiles(stores)
	r.placed(nodes)
	ids := map[uint32]bool{}
	for _, s := range stores {
		for id := range s.States {
			ids[id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		r.replicas(id, stores)
	}
	return r
}

// tiles sees that the range map is one, and that who has a replica owns what the map says.
func (r *Report) tiles(stores []*Store) {
	for _, s := range stores {
		if s.Map == nil {
			r.Violations = append(r.Violations, s.Node+" has no range map")
			continue
		}
		if err := s.Map.Check(); err != nil {
			r.Violations = append(r.Violations, fmt.Sprintf("%s: %v", s.Node, err))
		}
		for id, state := range s.States {
			if id == fsm.Meta {
				continue
			}
			of := s.Map.FindRange(id)
			if of == nil {
				r.Behind = append(r.Behind, fmt.Sprintf("%s has partition %d, which is not in its map", s.Node, id))
			} else if !same(of.From, state.From) || !same(of.To, state.To) {
				r.Behind = append(r.Behind, fmt.Sprintf("%s: partition %d owns %v to %v, and not %v to %v as in its map", s.Node, id, state.From, state.To, of.From, of.To))
			}
		}
	}
}

// placed sees that each node has the replicas that the newest map gives it. It removes what it has too much a moment later.
func (r *Report) placed(nodes map[string]*Store) {
	for _, s := range nodes {
		if s.Map == nil {
			continue
		}
		for i := range s.Map.Ranges {
			of := &s.Map.Ranges[i]
			for _, id := range of.Replicas {
				node := s.Map.Node(id)
				if node == nil || nodes[node.Name] == nil {
					r.Violations = append(r.Violations, fmt.Sprintf("%s: partition %d is to have a replica on %s, which is no member", s.Node, of.ID, id))
				} else if _, has := nodes[node.Name].States[of.ID]; !has {
					r.Behind = append(r.Behind, fmt.Sprintf("%s has no replica of partition %d", node.Name, of.ID))
				}
			}
		}
		for id := range s.States {
			if of := s.Map.FindRange(id); of != nil && !slices.ContainsFunc(of.Replicas, func(id string) bool { n := s.Map.Node(id); return n != nil && n.Name == s.Node }) {
				r.Behind = append(r.Behind, fmt.Sprintf("%s has a replica of partition %d, which it is not to have", s.Node, id))
			}
		}
	}
}

func same(a, b op.Position) bool { return fsm.Compare(a, b) == 0 }

// metaApart is how many entries replicas of the meta group may be apart: it is never at rest, for the clock's bound goes on.
const metaApart = 3

// replicas compares all replicas of a partition.
func (r *Report) replicas(id uint32, stores []*Store) {
	var first *Store
	for _, s := range stores {
		state, has := s.States[id]
		if !has {
			continue
		}
		r.Replicas++
		if first == nil {
			first = s
			r.Partitions++
			r.Keys += len(s.Content[id])
			continue
		}
		if of := first.States[id]; of.Index != state.Index {
			if id == fsm.Meta && max(of.Index, state.Index)-min(of.Index, state.Index) <= metaApart {
				continue
			}
			r.Behind = append(r.Behind, fmt.Sprintf("partition %d: %s has applied %d, and %s %d", id, first.Node, of.Index, s.Node, state.Index))
			continue
		}
		r.Violations = append(r.Violations, differences(id, first, s)...)
	}
}

// shownMax is how many differences of two replicas are told.
const shownMax = 5

func differences(id uint32, a, b *Store) (found []string) {
	keys := map[string]bool{}
	for _, s := range []*Store{a, b} {
		for key := range s.Content[id] {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		va, ina := a.Content[id][key]
		vb, inb := b.Content[id][key]
		if ina == inb && va == vb {
			continue
		}
		if len(found) == shownMax {
			return append(found, fmt.Sprintf("partition %d: and more", id))
		}
		found = append(found, fmt.Sprintf("partition %d at index %d: key %x is %x on %s (%v), and %x on %s (%v)", id, a.States[id].Index, key, va, a.Node, ina, vb, b.Node, inb))
	}
	return found
}
