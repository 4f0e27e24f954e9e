// Package viewtest is an in-memory mvcc.View for tests, and a runner for scripted tests of rules that are written against a
// View. Only tests import it.
//
// It holds the rules of mvcc.View, and is strict where a real store is lenient, so that a misuse shows:
//
//   - a value that Get lent out is overwritten with 0xDB when the operation ends, so a result that still points to it is
//     garbage, and changing a lent value panics;
//   - a deletion, or an expiry, of a name that is not there is an error.
package viewtest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"kahuna/mvcc"
	"kahuna/op"
)

var (
	// ErrAbsent says that Delete or PutExpiry was called for a name that is not there.
	ErrAbsent = errors.New("viewtest: the name is not there")
	// ErrOrder says that an operation met a version at or above its own timestamp.
	ErrOrder = errors.New("viewtest: the operation's timestamp is not above what it met")
)

// View is the state of names. Operations run on it one after the other, each begun with Begin. It is not for more than one
// goroutine.
type View struct {
	now     op.Timestamp
	rows    []*row // sorted by name
	lent    []loan
	calls   int
	failAt  int
	failure error
}

type row struct {
	name   op.Name
	old    mvcc.Record // as the operation found it; TS 0: never written
	cur    mvcc.Record
	intent *op.Intent
}

type loan struct{ given, want []byte }

// New makes an empty View whose operation runs at timestamp 1.
func New() *View { return &View{now: 1} }

// Begin ends the operation that runs, keeping what it wrote, and begins one at now.
func (v *View) Begin(now op.Timestamp) {
	v.reclaim()
	for _, r := range v.rows {
		r.old = r.cur
	}
	v.now, v.calls, v.failure = now, 0, nil
}

// Undo drops what the operation that runs has written.
func (v *View) Undo() {
	for _, r := range v.rows {
		r.cur = r.old
	}
}

// FailAt makes the call number n (from 1) of the operation that runs end with err, and all later ones.
func (v *View) FailAt(n int, err error) { v.failAt, v.failure = v.calls+n, err }

// Calls is how many calls the operation that runs has made.
func (v *View) Calls() int { return v.calls }

// SetIntent lays another transaction's intent at a name, or with nil takes it away.
func (v *View) SetIntent(n op.Name, i *op.Intent) { v.row(n).intent = i }

// Now is the operation's timestamp.
func (v *View) Now() op.Timestamp { return v.now }

// Get is the live version of a name.
func (v *View) Get(n op.Name) (mvcc.Record, bool, error) {
	r, err := v.enter(n)
	if err != nil {
		return mvcc.Record{}, false, err
	}
	if !r.live(v.now) {
		return mvcc.Record{Rev: r.cur.Rev}, false, nil
	}
	rec := r.cur
	rec.Value = bytes.Clone(rec.Value)
	v.lent = append(v.lent, loan{given: rec.Value, want: r.cur.Value})
	return rec, true, nil
}

// Put writes a new version. Several writes of one operation make one version, with one revision.
func (v *View) Put(n op.Name, rec mvcc.Record) (mvcc.Record, error) {
	r, err := v.enter(n)
	if err != nil {
		return mvcc.Record{}, err
	}
	rec.TS, rec.Rev, rec.Deleted = v.now, r.old.Rev+1, false
	r.cur = rec
	r.cur.Value = append([]byte{}, rec.Value...)
	return rec, nil
}

// PutExpiry changes the expiry of the live version.
func (v *View) PutExpiry(n op.Name, at op.Timestamp) error {
	r, err := v.enter(n)
	if err != nil {
		return err
	}
	if !r.live(v.now) {
		return fmt.Errorf("%w: expiry of %s", ErrAbsent, describe(n))
	}
	r.cur.TS, r.cur.ExpireAt = v.now, at
	return nil
}

// Delete leaves a deletion.
func (v *View) Delete(n op.Name) (uint64, error) {
	r, err := v.enter(n)
	if err != nil {
		return 0, err
	}
	if !r.live(v.now) {
		return 0, fmt.Errorf("%w: deletion of %s", ErrAbsent, describe(n))
	}
	if r.old.TS == 0 {
		r.cur = mvcc.Record{}
		return 0, nil
	}
	r.cur = mvcc.Record{TS: v.now, Rev: r.old.Rev + 1, Type: r.cur.Type, Deleted: true}
	return r.cur.Rev, nil
}

// enter counts a call about a name and refuses it where a real View would.
func (v *View) enter(n op.Name) (*row, error) {
	v.calls++
	if v.failure != nil && v.calls >= v.failAt {
		return nil, v.failure
	}
	r := v.row(n)
	if r.intent != nil {
		return nil, &mvcc.IntentError{Intent: *r.intent}
	}
	if r.old.TS >= v.now {
		return nil, ErrOrder
	}
	return r, nil
}

func (v *View) row(n op.Name) *row {
	i, found := slices.BinarySearchFunc(v.rows, n, func(r *row, n op.Name) int { return compare(r.name, n) })
	if !found {
		n.Key, n.Sub = bytes.Clone(n.Key), bytes.Clone(n.Sub)
		v.rows = slices.Insert(v.rows, i, &row{name: n})
	}
	return v.rows[i]
}

func (v *View) reclaim() {
	for _, l := range v.lent {
		if !bytes.Equal(l.given, l.want) {
			panic("viewtest: a value that Get lent out was changed")
		}
		for i := range l.given {
			l.given[i] = 0xDB
		}
	}
	v.lent = v.lent[:0]
}

func (r *row) live(now op.Timestamp) bool {
	return r.cur.TS > 0 && !r.cur.Deleted && (r.cur.ExpireAt == 0 || r.cur.ExpireAt > now)
}

func compare(a, b op.Name) int {
	return cmp.Or(cmp.Compare(a.Space, b.Space), bytes.Compare(a.Key, b.Key), bytes.Compare(a.Sub, b.Sub))
}
