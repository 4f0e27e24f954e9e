package placement

import (
	"errors"
	"fmt"

	"kahuna/fsm"
	"kahuna/op"
)

// Check tells what is wrong with a State that breaks an invariant or a limit.
func (s *State) Check() error {
	if err := s.check(); err != nil {
		return fmt.Errorf("placement: %w", err)
	}
	return nil
}

func (s *State) check() error {
	if s.ClusterID == "" || len(s.ClusterID) > MaxTextBytes {
		return fmt.Errorf("the cluster's id has %d bytes and not 1 to %d", len(s.ClusterID), MaxTextBytes)
	}
	if s.Replication < 1 || s.Replication > MaxReplicas {
		return fmt.Errorf("the replication factor is %d and not 1 to %d", s.Replication, MaxReplicas)
	}
	if s.Floor < 0 || s.Floor > MaxRanges {
		return fmt.Errorf("the ranges are to be no fewer than %d, more than %d", s.Floor, MaxRanges)
	}
	if err := s.checkNodes(); err != nil {
		return err
	}
	members := make(map[string]bool, len(s.Nodes))
	for i := range s.Nodes {
		members[s.Nodes[i].ID] = s.Nodes[i].Status != Left
	}
	if err := checkMembers("the meta group", s.MetaVoters, MaxMetaVoters, members); err != nil {
		return err
	}
	if err := s.checkRanges(members); err != nil {
		return err
	}
	return s.checkInFlight()
}

func (s *State) checkNodes() error {
	if len(s.Nodes) > MaxNodes {
		return fmt.Errorf("there are %d nodes, more than %d", len(s.Nodes), MaxNodes)
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		for _, text := range []string{n.ID, n.Name, n.PeerAddr, n.ClientAddr, n.ClusterAddr, n.Zone} {
			if len(text) > MaxTextBytes {
				return fmt.Errorf("a node has an id, a name or an address of %d bytes, more than %d", len(text), MaxTextBytes)
			}
		}
		switch {
		case n.ID == "":
			return errors.New("a node has no id")
		case i > 0 && s.Nodes[i-1].ID >= n.ID:
			return fmt.Errorf("node %s does not come after node %s", n.ID, s.Nodes[i-1].ID)
		case n.Status < Active || n.Status > Left:
			return fmt.Errorf("node %s has the unknown status %d", n.ID, n.Status)
		case n.Relieve < 0 || n.Relieve > MaxRanges+1:
			return fmt.Errorf("node %s is to be relieved of %d groups, more than there can be", n.ID, n.Relieve)
		case (n.Status == Left) != (n.Departed > 0):
			return fmt.Errorf("node %s is %s and has %d as the order of its leaving", n.ID, n.Status, n.Departed)
		}
	}
	return nil
}

// checkMembers checks the voters of a group: members of the cluster, each once.
func checkMembers(group string, ids []string, most int, members map[string]bool) error {
	if len(ids) == 0 || len(ids) > most {
		return fmt.Errorf("%s has %d voters and not 1 to %d", group, len(ids), most)
	}
	for i, id := range ids {
		if !members[id] {
			return fmt.Errorf("%s has the voter %q, which is not a member of the cluster", group, id)
		}
		if contains(ids[:i], id) {
			return fmt.Errorf("%s has the voter %s twice", group, id)
		}
	}
	return nil
}

func (s *State) checkRanges(members map[string]bool) error {
	if len(s.Ranges) == 0 || len(s.Ranges) > MaxRanges {
		return fmt.Errorf("there are %d ranges and not 1 to %d", len(s.Ranges), MaxRanges)
	}
	at := op.Position{}
	seen := make(map[uint32]struct{}, len(s.Ranges))
	for i := range s.Ranges {
		r := &s.Ranges[i]
		if fsm.Compare(r.From, at) != 0 || i > 0 && fsm.IsEnd(at) {
			return fmt.Errorf("range %d begins at %d %q and not at %d %q, where the one before it ends", r.ID, r.From.Slot, r.From.Name, at.Slot, at.Name)
		}
		if !fsm.IsEnd(r.To) && (fsm.Compare(r.From, r.To) >= 0 || r.To.Slot >= op.Slots) {
			return fmt.Errorf("range %d ends at %d %q, before its beginning or behind the last slot", r.ID, r.To.Slot, r.To.Name)
		}
		at = r.To
		if _, twice := seen[r.ID]; twice || r.ID == fsm.Meta || r.ID >= s.NextID {
			return fmt.Errorf("the range id %d is there twice, is the meta group's, or is not below the next id, %d", r.ID, s.NextID)
		}
		seen[r.ID] = struct{}{}
		if err := checkRange(r, members); err != nil {
			return err
		}
	}
	if !fsm.IsEnd(at) {
		return errors.New("the ranges do not reach the end of the space")
	}
	return nil
}

func checkRange(r *Range, members map[string]bool) error {
	group := "" // made only for an error: there may be very many ranges
	err := checkMembers(group, r.Replicas, MaxReplicas, members)
	switch {
	case err != nil:
		return fmt.Errorf("range %d:%w", r.ID, err)
	case r.Replication < 0 || r.Replication > MaxReplicas:
		return fmt.Errorf("range %d has the replication factor %d and not 0 to %d", r.ID, r.Replication, MaxReplicas)
	case len(r.Born) > MaxReplicas:
		return fmt.Errorf("range %d has %d first members, more than %d", r.ID, len(r.Born), MaxReplicas)
	}
	for i, id := range r.Born {
		if id == "" || len(id) > MaxTextBytes || contains(r.Born[:i], id) {
			return fmt.Errorf("range %d has %q among its first members, twice, empty or too long", r.ID, id)
		}
	}
	return nil
}
