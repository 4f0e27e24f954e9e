package placement

import "fmt"

// Complete tells which groups this state gives fewer members than they could have, or changes; nil: none. A node that is away counts as one
// that could have replicas.
func (s *State) Complete() error {
	active := 0
	for i := range s.Nodes {
		if s.Nodes[i].Status == Active {
			active++
		}
	}
	voters := min(MaxMetaVoters, active)
	if voters > 0 && voters%2 == 0 {
		voters--
	}
	if len(s.MetaVoters) < voters {
		return fmt.Errorf("the meta group has %d voters, of %d nodes", len(s.MetaVoters), active)
	}
	for i := range s.Ranges {
		r := &s.Ranges[i]
		want := r.Replication
		if want == 0 {
			want = s.Replication
		}
		if len(r.Replicas) < min(want, active) {
			return fmt.Errorf("partition %d has %d replicas, of %d nodes", r.ID, len(r.Replicas), active)
		}
	}
	if len(s.Changes) > 0 {
		c := &s.Changes[0]
		return fmt.Errorf("partition %d is being changed (%s), and %d others are", c.Range, c.Kind, len(s.Changes)-1)
	}
	return nil
}
