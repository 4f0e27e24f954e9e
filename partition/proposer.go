package partition

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/raftgroup"
)

// entry is a log entry on its way, with the units it holds.
type entry struct {
	units    []*Pending
	proposal raftgroup.Proposal
	data     []byte
	admitted bool
	fate     *fate // nil: it has none
}

// counters count what a replica did.
type counters struct{ entries, ops, reads atomic.Uint64 }

// Submit puts a unit into the queue; its end is told by Pending. An error says that it was refused: nothing was changed. The
// operations belong to the replica from now on.
//
// A LockAcquire for a lock that others wait for does not overtake them: it serves only an owner who holds the lock.
func (r *Replica) Submit(u fsm.Unit) (*Pending, error) {
	if r.term.Load() == 0 {
		return nil, ErrNotLeader
	}
	u, _ = r.waiters.yield(u)
	return r.submitAndPassOn(&Pending{ops: u, units: 1, encoded: fsm.AppendUnit(nil, u)}, u)
}

// submitAndPassOn is submit, with the locks that the operations free for those who wait for them, in the same log entry.
func (r *Replica) submitAndPassOn(p *Pending, ops []op.Op) (*Pending, error) {
	if r.waiters.places.Load() == 0 {
		return r.submit(p)
	}
	r.queue.hold()
	defer r.queue.release()
	p, err := r.submit(p)
	if err == nil {
		r.waiters.anticipate(ops)
	}
	return p, err
}

// SubmitNumbered is Submit for units that another node sent under a number. ops are those of all the units; the units and their
// binary form belong to the replica from now on.
func (r *Replica) SubmitNumbered(units []fsm.Unit, encoded []byte, number fsm.Number) (*Pending, error) {
	p := &Pending{units: len(units), number: &number}
	changed := false
	for i, u := range units {
		yielded, other := r.waiters.yield(u)
		units[i], changed = yielded, changed || other
		p.ops = append(p.ops, yielded...)
	}
	if changed {
		encoded = nil
		for _, u := range units {
			encoded = fsm.AppendUnit(encoded, u)
		}
	}
	p.encoded = encoded
	return r.submitAndPassOn(p, p.ops)
}

func (r *Replica) submit(p *Pending) (*Pending, error) {
	if r.term.Load() == 0 {
		return nil, ErrNotLeader
	}
	p.done = make(chan struct{})
	for _, o := range p.ops {
		p.stamps += op.Timestamps(o)
	}
	if err := r.queue.put(p); err != nil {
		return nil, err
	}
	return p, nil
}

// Write submits a unit and waits for its end, as Await does.
func (r *Replica) Write(ctx context.Context, u fsm.Unit) ([]op.Result, error) {
	p, err := r.Submit(u)
	if err != nil {
		return nil, err
	}
	return p.Await(ctx)
}

// Nudge puts an entry of nothing into the log, if this replica leads, so that the others learn at once what is committed.
func (r *Replica) Nudge() {
	if term := r.term.Load(); term != 0 {
		r.group.Propose(fsm.AppendHeader(nil, term, 0, 0))
	}
}

// propose turns what waits into log entries, until the queue is stopped.
func (r *Replica) propose() {
	defer close(r.entries)
	for {
		r.writing.wait()
		units := r.queue.take()
		if len(units) == 0 {
			return
		}
		e, err := r.proposeEntry(units)
		if err != nil {
			for _, p := range units {
				p.finish(nil, err)
			}
			continue
		}
		r.entries <- e
	}
}

// numberBytes is about what a number takes in an entry.
const numberBytes = 20

func (r *Replica) proposeEntry(units []*Pending) (entry, error) {
	term := r.term.Load()
	if term == 0 {
		return entry{}, ErrNotLeader
	}
	stamps := 0
	for _, p := range units {
		stamps += p.stamps
	}
	first, err := r.stamp(stamps)
	if err != nil {
		return entry{}, err
	}
	units = r.notWithdrawn(units)
	ops, bytes, count := 0, 32, 0
	var numbers []fsm.Number
	for _, p := range units {
		if p.number != nil {
			p.number.At, p.number.Units = count, p.units
			numbers = append(numbers, *p.number)
			bytes += numberBytes
		}
		count += p.units
		ops += len(p.ops)
		bytes += len(p.encoded)
	}
	data := fsm.AppendHeader(make([]byte, 0, bytes), term, first, count)
	for _, p := range units {
		data = append(data, p.encoded...)
		p.encoded = nil
	}
	data = fsm.AppendNumbers(data, numbers)
	r.stats.entries.Add(1)
	if all := r.stats.ops.Add(uint64(ops)); ops > 0 {
		r.meter.sample(all-uint64(ops), all, units[all%uint64(len(units))].ops)
	}
	r.writing.begin(data)
	fate := r.fates.begin(first, term, r.machine.Restores())
	return entry{units: units, proposal: r.group.Propose(data), data: data, admitted: first > 0, fate: fate}, nil
}

// notWithdrawn are the units that nobody has taken back; from now on nobody can.
func (r *Replica) notWithdrawn(units []*Pending) []*Pending {
	return slices.DeleteFunc(units, func(p *Pending) bool { return !p.place.CompareAndSwap(placeQueue, placeLog) })
}

// stamp takes timestamps for an entry, above the floor, and notes the entry as in flight.
func (r *Replica) stamp(n int) (op.Timestamp, error) {
	if r.cfg.Stamper == nil {
		return 0, nil
	}
	for {
		first, err := r.cfg.Stamper.Next(r.ctx, n)
		if err != nil {
			return 0, errors.Join(ErrNoClock, err)
		}
		if r.floor.admit(first) {
			return first, nil
		}
	}
}

// complete waits for the entries in flight, in order, and hands out their results.
func (r *Replica) complete() {
	for e := range r.entries {
		_, result, err := e.proposal.Wait(context.Background())
		r.writing.end(e.data)
		if e.admitted {
			r.floor.end()
		}
		switch {
		case err == nil:
			r.fates.end(e.fate)
			r.hand(e.units, result.([]op.Result))
		case errors.Is(err, raftgroup.ErrNotProposed):
			r.fates.end(e.fate)
			fail(e.units, ErrNotLeader)
		default:
			r.settling.Go(func() { r.end(e, err) })
		}
	}
	r.settling.Wait()
}

// end ends an entry whose end Raft does not know.
func (r *Replica) end(e entry, cause error) {
	results, err := r.settle(e, cause)
	if err != nil {
		fail(e.units, err)
		return
	}
	r.hand(e.units, results)
}

func (r *Replica) hand(units []*Pending, results []op.Result) {
	for _, p := range units {
		n := len(p.ops)
		r.leases.complete(p.ops, results[:n])
		p.finish(results[:n:n], nil)
		results = results[n:]
	}
}

func fail(units []*Pending, err error) {
	for _, p := range units {
		p.finish(nil, err)
	}
}
