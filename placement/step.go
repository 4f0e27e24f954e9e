package placement

import (
	"fmt"
	"slices"
)

// StepKind is what a step does.
type StepKind byte

const (
	SetReplicas    StepKind = iota + 1 // the State: From's replica of Range goes to To; one of them may be empty
	SetMetaVoters                      // the State: From's vote in the meta group goes to To; one of them may be empty
	Forget                             // the State: From, which is leaving and has nothing left, becomes a tombstone
	TransferLeader                     // an order to From, which leads Range (fsm.Meta too): hand over to To
)

func (k StepKind) String() string {
	return [...]string{"", "set replicas", "set meta voters", "forget", "transfer leader"}[k]
}

// Step is one thing that Plan wants done.
type Step struct {
	Kind     StepKind
	Range    uint32
	From, To string // node ids
	Why      string
}

func (s Step) String() string {
	switch s.Kind {
	case SetReplicas, TransferLeader:
		return fmt.Sprintf("%s of partition %d: %s -> %s (%s)", s.Kind, s.Range, orNone(s.From), orNone(s.To), s.Why)
	case Forget:
		return fmt.Sprintf("%s %s (%s)", s.Kind, s.From, s.Why)
	}
	return fmt.Sprintf("%s: %s -> %s (%s)", s.Kind, orNone(s.From), orNone(s.To), s.Why)
}

func orNone(id string) string {
	if id == "" {
		return "none"
	}
	return id
}

// Apply gives the State with the edits among the steps made, or s itself if there are none. An edit that no longer fits is an
// error, and nothing is done.
func Apply(s *State, steps []Step) (*State, error) {
	next, places := s, map[uint32]int(nil)
	for _, step := range steps {
		if step.Kind == TransferLeader {
			continue
		}
		if next == s {
			next, places = s.Clone(), s.places()
		}
		if err := next.apply(step, places); err != nil {
			return nil, fmt.Errorf("placement: %s: %w", step, err)
		}
	}
	if next == s {
		return s, nil
	}
	return next, next.Check()
}

// places tells where in Ranges each partition is.
func (s *State) places() map[uint32]int {
	places := make(map[uint32]int, len(s.Ranges))
	for i := range s.Ranges {
		places[s.Ranges[i].ID] = i
	}
	return places
}

func (s *State) apply(step Step, places map[uint32]int) (err error) {
	switch step.Kind {
	case SetReplicas:
		at, found := places[step.Range]
		if !found {
			return fmt.Errorf("there is no partition %d", step.Range)
		}
		r := &s.Ranges[at]
		r.Replicas, err = swap(r.Replicas, step.From, step.To)
		r.Born = nil // the group is there; nobody may make it a second time
	case SetMetaVoters:
		s.MetaVoters, err = swap(s.MetaVoters, step.From, step.To)
	case Forget:
		err = s.Leave(step.From)
	default:
		err = fmt.Errorf("unknown kind %d", step.Kind)
	}
	return err
}

// swap gives ids without from and with to, in order.
func swap(ids []string, from, to string) ([]string, error) {
	if from != "" && !contains(ids, from) || to != "" && contains(ids, to) {
		return ids, fmt.Errorf("%v is not what was planned for", ids)
	}
	next := make([]string, 0, len(ids)+1)
	for _, id := range ids {
		if id != from {
			next = append(next, id)
		}
	}
	if to != "" {
		next = append(next, to)
	}
	slices.Sort(next)
	return next, nil
}
