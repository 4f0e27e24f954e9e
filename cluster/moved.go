package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/placement"
)

// The range map of the cluster learns of a split after it has happened. Until then, who asks the parent for a name that is not its own
// any more is told what it has given away, and goes by that, for a while: the map has the last word.

// learnedFor is for how long a node goes by what partitions have told, when the cluster's state does not come to say the same.
const learnedFor = 3 * time.Second

// extent is what a partition says of its range, and what of it went to others.
type extent struct {
	id       uint32
	epoch    uint64
	from, to op.Position
	children []fsm.Child
}

func extentOf(r *partition.Replica) *extent {
	s := r.Machine().State()
	return &extent{r.ID(), s.Epoch, s.From, s.To, s.Children}
}

func (e *extent) append(b []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.id)), e.epoch)
	b = op.AppendPosition(op.AppendPosition(b, e.from), e.to)
	for i := range e.children {
		c := &e.children[i]
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.ID)), c.Epoch)
		b = op.AppendPosition(op.AppendPosition(b, c.From), c.To)
	}
	return b
}

func decodeExtent(b []byte) (*extent, error) {
	r := op.NewReader(b)
	e := &extent{id: r.Uint32(), epoch: r.Uint(), from: r.Position(), to: r.Position()}
	for r.More() {
		c := fsm.Child{ID: r.Uint32(), Epoch: r.Uint()}
		c.From, c.To = r.Position(), r.Position()
		e.children = append(e.children, c)
	}
	if r.End() != nil {
		return nil, errAnswer
	}
	return e, nil
}

// learn takes over what a partition says of its range, if it is news.
func (r *Router) learn(e *extent) {
	for {
		old := r.routes.Load()
		at := slices.IndexFunc(old.state.Ranges, func(known placement.Range) bool { return known.ID == e.id })
		if at < 0 || old.version == 0 {
			return
		}
		parts, news := e.parts(&old.state.Ranges[at])
		if !news {
			return
		}
		state := *old.state
		state.Ranges = slices.Concat(old.state.Ranges[:at:at], parts, old.state.Ranges[at+1:])
		next := newRoutes(&state, old.version)
		next.learned = r.mono() + learnedFor
		if !r.routes.CompareAndSwap(old, next) {
			continue
		}
		for _, p := range parts[1:] {
			r.hints.set(p.ID, r.known(e.id)) // who leads the parent is the first to stand for election
		}
		return
	}
}

// parts is what has become of a range: the partition itself and its children, without a gap. It is no news when the map is not behind.
func (e *extent) parts(known *placement.Range) (parts []placement.Range, news bool) {
	if e.epoch <= known.Epoch || fsm.Compare(e.from, known.From) != 0 || fsm.IsEnd(e.to) || !fsm.IsEnd(known.To) && fsm.Compare(e.to, known.To) >= 0 {
		return nil, false
	}
	own := *known
	own.To, own.Epoch, own.Born = e.to, e.epoch, nil
	parts = append(parts, own)
	for end := e.to; fsm.Compare(end, known.To) != 0; {
		at := slices.IndexFunc(e.children, func(c fsm.Child) bool { return fsm.Compare(c.From, end) == 0 && c.Epoch > known.Epoch })
		if at < 0 || len(parts) > len(e.children) {
			return nil, false
		}
		child := *known
		child.ID, child.From, child.To, child.Epoch, child.Born = e.children[at].ID, end, e.children[at].To, e.children[at].Epoch, nil
		parts, end = append(parts, child), child.To
	}
	return parts, true
}

// ErrParted says that an operation was made for one partition, and what it is about lies in several by now. Nothing was changed: it is to
// be made anew.
var ErrParted = fmt.Errorf("%w: the range was split meanwhile", ErrTryAgain)

var errSpans = errors.New("cluster: it is about names of several partitions")

// spans tells whether what an operation is about lies in several partitions.
func (r *routes) spans(o op.Op) bool {
	at := r.find(o)
	return eachName(o, func(n op.Name) error {
		if r.state.Find(n.Key).ID != at {
			return errSpans
		}
		return nil
	}, func(from, to op.Position) error {
		if p := r.state.FindAt(from); p.ID != at || !fsm.IsEnd(p.To) && (fsm.IsEnd(to) || fsm.Compare(to, p.To) > 0) {
			return errSpans
		}
		return nil
	}) != nil
}

// eachName tells what an operation of several names, or of a range, is about, until one of the functions returns an error.
func eachName(o op.Op, name func(op.Name) error, span func(from, to op.Position) error) (err error) {
	names := func(ns []op.Name) {
		for i := 0; i < len(ns) && err == nil; i++ {
			err = name(ns[i])
		}
	}
	scans := func(all []op.ScanSeen) {
		for i := 0; i < len(all) && err == nil; i++ {
			err = span(all[i].From, all[i].To)
		}
	}
	seen := func(all []op.Seen) {
		for i := 0; i < len(all) && err == nil; i++ {
			err = name(all[i].Name)
		}
	}
	if multi := op.MultiOf(o); multi != nil {
		for i := 0; i < len(multi.Ops) && err == nil; i++ {
			err = name(multi.Ops[i].Target())
		}
		seen(multi.Watches)
	}
	switch o := o.(type) {
	case *op.CommitMulti:
		if err == nil {
			err = name(o.Home)
		}
	case *op.PrewriteSince:
		return eachName(&o.Prewrite, name, span)
	case *op.CheckSince:
		return eachName(&o.Check, name, span)
	case *op.Prewrite:
		if o.AtHome {
			err = name(o.Home)
		}
		for i := 0; i < len(o.Writes) && err == nil; i++ {
			err = name(o.Writes[i].Name)
		}
	case *op.Check:
		seen(o.Reads)
		scans(o.Scans)
	case *op.Resolve:
		names(o.Names)
	case *op.Advise:
		names(o.Names)
		scans(o.Scans)
	case *op.Scan:
		err = span(o.From, o.To)
	case *op.Count:
		err = span(o.From, o.To)
	case *op.DeleteRange:
		err = span(o.From, o.To)
	case *op.Changes:
		err = span(o.From, o.To)
	}
	return err
}
