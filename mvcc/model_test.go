package mvcc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/op"
)

// model is what mvcc keeps, in the plainest form: for each name the list of its versions, oldest first, and an intent.
type model struct {
	names []*modelName
	// collected: something was. The revision of what is not there is not known then.
	collected bool
}

type modelName struct {
	name     op.Name
	versions []mvcc.Record
	lost     map[op.Timestamp]bool // versions whose value is gone
	intent   *op.Intent
	write    op.Write
}

func newModel(names []op.Name) *model {
	m := &model{}
	for _, n := range names {
		m.names = append(m.names, &modelName{name: n, lost: map[op.Timestamp]bool{}})
	}
	return m
}

func (m *model) of(n op.Name) *modelName {
	i := slices.IndexFunc(m.names, func(x *modelName) bool { return x.name.Equal(n) })
	return m.names[i]
}

func (x *modelName) last() mvcc.Record {
	if len(x.versions) == 0 {
		return mvcc.Record{}
	}
	return x.versions[len(x.versions)-1]
}

func live(r mvcc.Record, at op.Timestamp) bool {
	return r.TS > 0 && !r.Deleted && (r.ExpireAt == 0 || r.ExpireAt > at)
}

// add makes a version the newest one.
func (x *modelName) add(r mvcc.Record) {
	if old := x.last(); old.NoRev && !old.Deleted {
		x.lost[old.TS] = true
	}
	if x.name.Space == op.SpaceIdem {
		x.versions = nil
		if r.Deleted {
			return
		}
	}
	x.versions = append(x.versions, r)
}

// read is what a read of the name at a timestamp has to answer.
func (x *modelName) read(at op.Timestamp) string {
	if x.intent != nil && (at == mvcc.Latest || x.intent.Prewritten < at) {
		return errorText(&mvcc.IntentError{Intent: *x.intent})
	}
	var found mvcc.Record
	for _, v := range x.versions {
		if at == mvcc.Latest || v.TS <= at {
			found = v
		}
	}
	switch {
	case at == mvcc.Latest && !found.Deleted && found.ExpireAt > 0:
		return errorText(mvcc.ErrNeedsTime)
	case !live(found, at):
		return recordText(found, false)
	case x.lost[found.TS]:
		return errorText(mvcc.ErrCollected)
	}
	return recordText(found, true)
}

// difference tells where a store's answers at a timestamp are not the model's; empty when nowhere.
func (m *model) difference(r mvcc.Reader, at op.Timestamp) string {
	v := mvcc.NewAt(r, at)
	for _, x := range m.names {
		rec, found, err := v.Get(x.name)
		got, want := answer(recordText(rec, found), err), x.read(at)
		if m.collected && strings.HasPrefix(want, "absent") && strings.HasPrefix(got, "absent") {
			continue
		}
		if got != want {
			return fmt.Sprintf("%s at %d: %s, want %s", storetest.Name(x.name), at, got, want)
		}
	}
	return m.scanDifference(v, at)
}

// scanDifference compares scans: those of a space without an error in it give the live names, the others end with an error.
func (m *model) scanDifference(v *mvcc.At, at op.Timestamp) string {
	for _, sp := range []op.Space{op.SpaceKey, op.SpaceIdem} {
		got, fails := 0, false
		err := v.Scan(sp, op.Position{}, op.Position{}, func(n op.Name, rec mvcc.Record) (bool, error) {
			if text := recordText(rec, true); text != m.of(n).read(at) {
				return false, fmt.Errorf("%s is %s", storetest.Name(n), text)
			}
			got++
			return true, nil
		})
		want := 0
		for _, x := range m.names {
			text := x.read(at)
			if x.name.Space != sp || strings.HasPrefix(text, "absent") {
				continue
			}
			fails = fails || !strings.HasPrefix(text, "rev")
			want++
		}
		if fails != (err != nil) || err == nil && want != got {
			return fmt.Sprintf("a scan of space %d at %d: %d names, %v, want %d, an error: %v", sp, at, got, err, want, fails)
		}
		var met *mvcc.IntentError
		if errors.As(err, &met) && m.of(met.Intent.Name).intent == nil {
			return fmt.Sprintf("a scan met an intent at %s, which has none", storetest.Name(met.Intent.Name))
		}
	}
	return ""
}
