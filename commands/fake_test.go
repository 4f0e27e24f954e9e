package commands

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"kahuna/cluster"
	"kahuna/fsm"
	"kahuna/glob"
	"kahuna/hashes"
	"kahuna/keys"
	"kahuna/locks"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/sequencer"
	"kahuna/txn/coord"
)

// fake is a Backend over maps, with the real rules of keys, locks and sequences. It is one partition.
type fake struct {
	now func() time.Time

	mu    sync.Mutex
	state *state
	last  op.Timestamp
	calls []int // how many operations each Do got
	fail  error // the outcome of everything, when set
	begun map[op.Timestamp]coord.Status
	moved chan struct{} // closed when something was run

	conflicts int // how many transactions run in vain
}

// state is all versions of all names, oldest first.
type state struct {
	rows    map[string]*history
	changes int
}

type history struct {
	name     op.Name
	versions []mvcc.Record
}

func newFake(now func() time.Time) *fake {
	return &fake{moved: make(chan struct{}), now: now, state: &state{rows: map[string]*history{}}}
}

func rowKey(n op.Name) string {
	return string(rune(n.Space)) + "/" + string(n.Key) + "/" + string(n.Sub)
}

func (s *state) clone() *state {
	c := &state{rows: make(map[string]*history, len(s.rows)), changes: s.changes}
	for k, h := range s.rows {
		c.rows[k] = &history{h.name, slices.Clone(h.versions)}
	}
	return c
}

func (f *fake) tick() op.Timestamp {
	f.last = max(f.last+1, op.FromUnixMilli(f.now().UnixMilli()))
	return f.last
}

func (f *fake) Timestamps(_ context.Context, n int) (op.Timestamp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.tick()
	f.last += op.Timestamp(n - 1)
	return first, f.fail
}

func (f *fake) Do(_ context.Context, ops []op.Op) []op.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, len(ops))
	defer func() {
		close(f.moved)
		f.moved = make(chan struct{})
	}()
	out := make([]op.Outcome, len(ops))
	for i, o := range ops {
		if out[i].Err = f.fail; f.fail == nil {
			out[i].Result = f.state.run(o, f.tick())
		}
	}
	return out
}

// Wait tries again whenever something was run.
func (f *fake) Wait(ctx context.Context, o *op.LockAcquire, then func(op.Outcome)) {
	go func() { then(f.wait(ctx, o)) }()
}

func (f *fake) wait(ctx context.Context, o *op.LockAcquire) op.Outcome {
	for {
		f.mu.Lock()
		out, moved := op.Outcome{Err: f.fail}, f.moved
		if f.fail == nil {
			out.Result = f.state.run(o, f.tick())
		}
		f.mu.Unlock()
		if out.Err != nil || out.Done || out.Status != op.OK {
			return out
		}
		select {
		case <-moved:
		case <-ctx.Done():
			if ctx.Err() == context.Canceled {
				out.Err = fmt.Errorf("%w: the wait was ended", cluster.ErrTryAgain)
			}
			return out
		}
	}
}

func (f *fake) Transact(_ context.Context, watches []op.Seen, fn func(tx Doer) error) (bool, error) {
	for {
		f.mu.Lock()
		base, before, ts, err := f.state, f.state.changes, f.tick(), f.fail
		copied := base.clone()
		f.mu.Unlock()
		if err != nil {
			return false, err
		}
		if !copied.hold(watches, ts) {
			return false, nil
		}
		if err := fn(fakeTxn{copied, base, ts}); err != nil {
			return false, err
		}
		f.mu.Lock()
		if f.conflicts--; f.conflicts < 0 && f.state == base && base.changes == before {
			f.state = copied
			f.mu.Unlock()
			return true, nil
		}
		f.mu.Unlock()
	}
}

func (f *fake) Atomic(ctx context.Context, ops []op.Op, watches []op.Seen) (results []op.Result, done bool, err error) {
	if len(ops) == 0 {
		panic("a log entry without operations")
	}
	for _, o := range ops {
		if get, ok := o.(*op.Get); o.Target().Key == nil || o.Kind() == op.KindHistory || o.Kind() == op.KindVersion || ok && get.AtRev > 0 {
			panic("an operation that can't be part of a log entry")
		}
	}
	done, err = f.Transact(ctx, watches, func(tx Doer) error {
		results = nil
		for _, o := range tx.Do(ctx, ops) {
			results = append(results, o.Result)
		}
		return nil
	})
	return results, done, err
}

func (f *fake) Snapshot(_ context.Context, at op.Timestamp) (Doer, op.Timestamp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.tick()
	if at == 0 {
		at = now
	}
	if at > now {
		return nil, 0, cluster.ErrFuture
	}
	copied := f.state.clone()
	return fakeTxn{copied, copied, at}, at, f.fail
}

func (f *fake) Info() NodeInfo {
	return NodeInfo{Program: "server", Version: "0.0.1", RedisVersion: "7.4.0", NodeID: "0123456789012345678901234567890123456789", NodeName: "n1",
		ClusterID: "c1", Started: f.now(), Port: 6379, ClusterPort: 6380, PeerPort: 6381, AdminPort: 6382, ClientsMax: 100, Nodes: 1, Partitions: 4, Leaders: 4, Replicas: 1}
}

// fakeTxn runs everything at one timestamp on a copy of the state.
type fakeTxn struct {
	state, base *state
	ts          op.Timestamp
}

func (t fakeTxn) Do(_ context.Context, ops []op.Op) []op.Outcome {
	out := make([]op.Outcome, len(ops))
	for i, o := range ops {
		on := t.state
		if _, ok := o.(*op.Version); ok {
			on = t.base // what is watched is what was there before
		}
		out[i].Result = on.run(o, t.ts)
	}
	return out
}

func (s *state) hold(watches []op.Seen, now op.Timestamp) bool {
	for _, w := range watches {
		if seen := s.seen(w.Name, now); seen.TS != w.TS || seen.Found != w.Live {
			return false
		}
	}
	return true
}

func (s *state) seen(n op.Name, now op.Timestamp) op.Result {
	r, live := s.at(n, now)
	return op.Result{TS: r.TS, Found: live}
}

// at is the version of a name at a time, and whether it is live.
func (s *state) at(n op.Name, now op.Timestamp) (mvcc.Record, bool) {
	h := s.rows[rowKey(n)]
	if h == nil {
		return mvcc.Record{}, false
	}
	for i := len(h.versions) - 1; i >= 0; i-- {
		if r := h.versions[i]; r.TS <= now {
			return r, !r.Deleted && (r.ExpireAt == 0 || r.ExpireAt > now)
		}
	}
	return mvcc.Record{}, false
}

func (s *state) run(o op.Op, now op.Timestamp) op.Result {
	switch o := o.(type) {
	case *op.Version:
		r := s.seen(o.Name, now)
		if rec, live := s.at(o.Name, now); live && o.Full {
			r.Value = rec.Value
		}
		return r
	case *op.Scan:
		return s.scan(o, now)
	case *op.Count:
		return op.Result{Int: int64(len(s.scan(&op.Scan{Space: o.Space, Limit: 1 << 30}, now).Items))}
	case *op.DeleteRange:
		return s.deleteRange(o, now)
	case *op.History:
		return s.list(o, now)
	case *op.Get:
		if o.AtRev > 0 {
			return s.revision(&op.Look{Key: o.Key, AtRev: o.AtRev, Values: true}, now)
		}
	case *op.Look:
		if o.AtRev > 0 {
			return s.revision(o, now)
		}
	}
	v := &fakeView{s, now}
	for _, run := range []func(mvcc.View, op.Op) (op.Result, bool, error){keys.Run, hashes.Run, locks.Run, sequencer.Run} {
		if res, handled, err := run(v, o); handled || err != nil {
			if err != nil {
				panic(err)
			}
			return res
		}
	}
	panic("no rule for this operation")
}

// fakeView is the state for one operation.
type fakeView struct {
	*state
	now op.Timestamp
}

func (v *fakeView) Now() op.Timestamp { return v.now }

func (v *fakeView) Get(n op.Name) (mvcc.Record, bool, error) {
	r, live := v.at(n, v.now)
	if !live {
		r = mvcc.Record{Rev: r.Rev}
	}
	return r, live, nil
}

func (v *fakeView) write(n op.Name, r mvcc.Record) mvcc.Record {
	v.changes++
	n.Key, n.Sub = bytes.Clone(n.Key), bytes.Clone(n.Sub)
	h := v.rows[rowKey(n)]
	if h == nil {
		h = &history{name: n}
		v.rows[rowKey(n)] = h
	}
	r.TS, r.Value = v.now, bytes.Clone(r.Value)
	if last := len(h.versions) - 1; last >= 0 && h.versions[last].TS == v.now {
		h.versions = h.versions[:last]
	}
	h.versions = append(h.versions, r)
	return r
}

func (v *fakeView) Put(n op.Name, r mvcc.Record) (mvcc.Record, error) {
	before, _ := v.at(n, v.now-1)
	r.Rev, r.Deleted = before.Rev+1, false
	return v.write(n, r), nil
}

func (v *fakeView) PutExpiry(n op.Name, at op.Timestamp) error {
	r, _ := v.at(n, v.now)
	r.ExpireAt = at
	v.write(n, r)
	return nil
}

func (v *fakeView) Delete(n op.Name) (uint64, error) {
	before, _ := v.at(n, v.now-1)
	return v.write(n, mvcc.Record{Rev: before.Rev + 1, Deleted: true}).Rev, nil
}

func (s *state) list(o *op.History, now op.Timestamp) (res op.Result) {
	h := s.rows[rowKey(op.Key(o.Key))]
	if h == nil {
		return res
	}
	newest := len(h.versions) - 1
	for i := newest; i >= 0 && len(res.Items) < int(o.Limit); i-- {
		r := h.versions[i]
		if n := len(res.Items); r.TS > now || n > 0 && res.Items[n-1].Rev == r.Rev {
			continue
		}
		res.Items = append(res.Items, op.Item{Value: r.Value, Rev: r.Rev, TS: r.TS, Deleted: r.Deleted, Lost: r.NoRev && i < newest, Type: fsm.ItemType(r.Type)})
	}
	return res
}

func (s *state) revision(o *op.Look, now op.Timestamp) op.Result {
	for _, it := range s.list(&op.History{Key: o.Key, Limit: 1 << 30}, now).Items {
		switch {
		case it.Rev != o.AtRev:
		case it.Lost:
			return op.Result{Status: op.Collected}
		default:
			return op.Result{Found: !it.Deleted, Int: int64(max(it.Type, 1)), Value: it.Value, Rev: it.Rev, TS: it.TS}
		}
	}
	return op.Result{}
}

func (s *state) scan(o *op.Scan, now op.Timestamp) (res op.Result) {
	bySlot := func(a, b op.Name) int {
		return cmp.Or(cmp.Compare(a.Slot(), b.Slot()), bytes.Compare(a.Key, b.Key))
	}
	order := bySlot
	if o.ByName {
		order = func(a, b op.Name) int { return bytes.Compare(a.Key, b.Key) }
	}
	var names []op.Name
	for _, h := range s.rows {
		if _, live := s.at(h.name, now); live && h.name.Space == o.Space && inScan(o, h.name) {
			names = append(names, h.name)
		}
	}
	slices.SortFunc(names, order)
	for i, n := range names {
		if i == int(o.Limit) {
			res.Next = &op.Position{Slot: n.Slot(), Name: n.Key}
			if o.ByName {
				res.Next = &op.Position{Name: names[i-1].Key}
			}
			break
		}
		r, _ := s.at(n, now)
		it := op.Item{Key: n.Key, Rev: r.Rev, TS: r.TS, ExpireAt: r.ExpireAt, Type: fsm.ItemType(r.Type)}
		if o.Values {
			it.Value = r.Value
		}
		res.Items = append(res.Items, it)
	}
	return res
}

func inScan(o *op.Scan, n op.Name) bool {
	if !bytes.HasPrefix(n.Key, o.Prefix) || len(o.Match) > 0 && !glob.Match(o.Match, n.Key) {
		return false
	}
	if o.ByName {
		c := bytes.Compare(n.Key, o.Start)
		return (c > 0 || c == 0 && !o.After) && (len(o.End) == 0 || bytes.Compare(n.Key, o.End) < 0)
	}
	before := func(p op.Position) bool { // n is before p
		return cmp.Or(cmp.Compare(n.Slot(), p.Slot), bytes.Compare(n.Key, p.Name)) < 0
	}
	return !before(o.From) && (o.To.Slot == 0 && o.To.Name == nil || before(o.To))
}

func (s *state) deleteRange(o *op.DeleteRange, now op.Timestamp) op.Result {
	page := s.scan(&op.Scan{Space: o.Space, From: o.From, To: o.To, Limit: o.Limit}, now)
	res := op.Result{Next: page.Next}
	v := &fakeView{s, now}
	for _, it := range page.Items {
		if it.TS <= o.UpTo {
			v.Delete(op.Key(it.Key))
			res.Int++
		}
	}
	return res
}
