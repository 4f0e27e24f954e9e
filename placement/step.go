package placement

import (
	"errors"
	"fmt"
	"slices"

	"kahuna/fsm"
	"kahuna/op"
)

// StepKind is what a step does. The numbers are stored; they are only ever added to.
type StepKind byte

const (
	SetReplicas    StepKind = iota + 1 // the State: From's replica of Range goes to To; one of them may be empty
	SetMetaVoters                      // the State: From's vote in the meta group goes to To; one of them may be empty
	Forget                             // the State: From, which is leaving and has nothing left, becomes a tombstone
	TransferLeader                     // an order to From, which leads Range (fsm.Meta too): hand over to To
	Split                              // the State: Range begins to be split at At, into itself and a new one
	Merge                              // the State: Range begins to take over Other, its right neighbour
	Settle                             // the State: the change of Range's replicas is over
	Cancel                             // the State: the split or the merge that Range is in is no longer wanted
)

func (k StepKind) String() string {
	return [...]string{"", "set replicas", "set meta voters", "forget", "transfer leader", "split", "merge", "settle", "cancel"}[k]
}

// Step is one thing that Plan wants done.
type Step struct {
	Kind     StepKind
	Range    uint32
	Other    uint32       // of Merge: the right one
	At       op.Position  // of Split: where the right part begins
	From, To string       // node ids
	Until    op.Timestamp // until then From gets no replica of Range (SetReplicas), or Range rests (Settle); 0: it may at once
	Why      string
}

func (s Step) String() string {
	switch s.Kind {
	case SetReplicas, TransferLeader:
		return fmt.Sprintf("%s of partition %d: %s -> %s (%s)", s.Kind, s.Range, orNone(s.From), orNone(s.To), s.Why)
	case Forget:
		return fmt.Sprintf("%s %s (%s)", s.Kind, s.From, s.Why)
	case Split:
		return fmt.Sprintf("split partition %d at slot %d %q (%s)", s.Range, s.At.Slot, s.At.Name, s.Why)
	case Merge:
		return fmt.Sprintf("merge partitions %d and %d (%s)", s.Range, s.Other, s.Why)
	case Settle, Cancel:
		return fmt.Sprintf("%s partition %d (%s)", s.Kind, s.Range, s.Why)
	}
	return fmt.Sprintf("%s: %s -> %s (%s)", s.Kind, orNone(s.From), orNone(s.To), s.Why)
}

func orNone(id string) string {
	if id == "" {
		return "none"
	}
	return id
}

// ErrBusy is for a step on a range that is in another one. Nothing was changed.
var ErrBusy = errors.New("placement: another change is on its way")

// Apply gives the State with the edits among the steps made at a time of the cluster's clock, or s itself if there are none. An edit
// that no longer fits is an error, and nothing is done.
func Apply(s *State, steps []Step, now op.Timestamp) (*State, error) {
	e := editor{State: s, now: now}
	for _, step := range steps {
		if step.Kind == TransferLeader {
			continue
		}
		if e.State == s {
			e.State, e.places = s.Clone(), s.places()
			e.warm(now, e.places)
		}
		if err := e.apply(step); err != nil {
			return nil, fmt.Errorf("placement: %s: %w", step, err)
		}
	}
	if e.State == s {
		return s, nil
	}
	return e.State, e.Check()
}

// editor makes the edits of steps. None of them adds, removes or moves a range, so places stay right.
type editor struct {
	*State
	places map[uint32]int
	now    op.Timestamp
}

// places tells where in Ranges each partition is.
func (s *State) places() map[uint32]int {
	places := make(map[uint32]int, len(s.Ranges))
	for i := range s.Ranges {
		places[s.Ranges[i].ID] = i
	}
	return places
}

func (e *editor) find(id uint32) (*Range, error) {
	if at, found := e.places[id]; found {
		return &e.Ranges[at], nil
	}
	return nil, fmt.Errorf("there is no partition %d", id)
}

func (e *editor) apply(step Step) (err error) {
	switch step.Kind {
	case SetReplicas:
		return e.setReplicas(step)
	case SetMetaVoters:
		e.MetaVoters, err = swap(e.MetaVoters, step.From, step.To)
		return err
	case Forget:
		return e.Leave(step.From)
	case Split:
		return e.split(step)
	case Merge:
		return e.merge(step)
	case Settle, Cancel:
		return e.finish(step)
	}
	return fmt.Errorf("unknown kind %d", step.Kind)
}

func (e *editor) setReplicas(step Step) error {
	r, err := e.find(step.Range)
	if err != nil {
		return err
	}
	if err := e.begin(Change{Kind: SetReplicas, Range: r.ID, From: step.From, To: step.To, Began: e.now}); err != nil {
		return err
	}
	r.Replicas, err = swap(r.Replicas, step.From, step.To)
	r.Born = nil // the group is there; nobody may make it a second time
	e.cool(Cooldown{Range: r.ID, Node: step.From, Until: step.Until})
	return err
}

func (e *editor) split(step Step) error {
	r, err := e.find(step.Range)
	switch {
	case err != nil:
		return err
	case fsm.Compare(step.At, r.From) <= 0 || !fsm.IsEnd(r.To) && fsm.Compare(step.At, r.To) >= 0 || step.At.Slot >= op.Slots:
		return errors.New("it does not lie inside of the partition's range")
	case len(e.Ranges)+len(e.Changes) >= MaxRanges:
		return fmt.Errorf("there are %d partitions, more are not allowed", len(e.Ranges))
	}
	if err := e.begin(Change{Kind: Split, Range: r.ID, Other: e.NextID, At: step.At, Began: e.now}); err != nil {
		return err
	}
	e.NextID++
	return nil
}

func (e *editor) merge(step Step) error {
	l, err := e.find(step.Range)
	if err != nil {
		return err
	}
	r, err := e.find(step.Other)
	switch {
	case err != nil:
		return err
	case fsm.IsEnd(l.To) || fsm.Compare(l.To, r.From) != 0:
		return fmt.Errorf("partition %d does not begin where partition %d ends", r.ID, l.ID)
	case !slices.Equal(l.Replicas, r.Replicas):
		return errors.New("their replicas are not on the same nodes")
	case e.Change(r.ID) != nil:
		return fmt.Errorf("%w: partition %d is in it", ErrBusy, r.ID)
	}
	return e.begin(Change{Kind: Merge, Range: l.ID, Other: r.ID, Began: e.now})
}

func (e *editor) finish(step Step) error {
	c := e.Change(step.Range)
	if c == nil || (c.Kind == SetReplicas) != (step.Kind == Settle) {
		return errors.New("there is no such change")
	}
	if step.Kind == Cancel {
		c.Cancel = true
		return nil
	}
	e.end(c, step.Until)
	return nil
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
