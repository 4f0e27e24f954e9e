package keys

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

// model is a key as a user would describe it.
type model struct {
	exists bool
	value  string
	rev    uint64
	expire op.Timestamp
}

// TestAgainstModel runs random operations on one key and compares every answer, and what is there afterwards, with the model.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playModel(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func playModel(t *testing.T, r *rand.Rand) {
	v, m := viewtest.New(), model{}
	key := []byte("k")
	for range 400 {
		if r.IntN(4) == 0 {
			v.Begin(v.Now().Add(r.Int64N(8)))
		}
		o := randomOp(r, key, m)
		got := viewtest.Exec(t, v, o, Run)
		was := m
		want := m.apply(o, v.Now())
		if !same(got, want) {
			t.Fatalf("%T%+v on %+v at %s:\n got %+v\nwant %+v", o, o, was, viewtest.Time(v.Now()), got, want)
		}
		now := viewtest.Exec(t, v, &op.Get{Key: key}, Run)
		m.expires(v.Now())
		if now.Found != m.exists || m.exists && (string(now.Value) != m.value || now.Rev != m.rev || now.ExpireAt != m.expire) {
			t.Fatalf("after %T%+v on %+v: there is %+v, want %+v", o, o, was, now, m)
		}
	}
}

func same(a, b op.Result) bool {
	return bytes.Equal(op.AppendResult(nil, &a), op.AppendResult(nil, &b))
}

var values = []string{"", "1", "2", "10", "-3", "x", "9223372036854775807"}

func randomOp(r *rand.Rand, key []byte, m model) op.Op {
	value := func() []byte { return []byte(values[r.IntN(len(values))]) }
	yes := func() bool { return r.IntN(2) == 0 }
	rev := m.rev - uint64(r.IntN(2))
	expiry := op.Expiry{Mode: op.ExpiryMode(r.IntN(4)), Milli: r.Int64N(30) - 5}
	if expiry.Mode == op.ExpiryAt {
		expiry.Milli += op.EpochUnixMilli + r.Int64N(1200)
	}
	switch r.IntN(8) {
	case 0, 1:
		return &op.Set{Key: key, Value: value(), Cond: op.Cond(r.IntN(6)), CondValue: value(), CondRev: rev, Expiry: expiry,
			NoRev: yes(), WantOld: yes()}
	case 2:
		return &op.Delete{Key: key, Cond: op.Cond(r.IntN(6)), CondValue: value(), CondRev: rev, WantOld: yes()}
	case 3, 4:
		return &op.Expire{Key: key, Expiry: expiry, Conds: op.ExpireCond(r.IntN(16) & r.IntN(16)), WantOld: yes()}
	case 5:
		return &op.Incr{Key: key, Delta: r.Int64N(7) - 3}
	case 6:
		return &op.AppendTo{Key: key, Value: value(), MaxBytes: uint64(r.IntN(30))}
	}
	return &op.SetRange{Key: key, Offset: uint64(r.IntN(10)), Value: value(), MaxBytes: 20}
}

func (m *model) expires(now op.Timestamp) {
	if m.exists && m.expire != 0 && m.expire <= now {
		m.exists, m.expire, m.value = false, 0, ""
	}
}

func (m *model) apply(o op.Op, now op.Timestamp) op.Result {
	m.expires(now)
	switch o := o.(type) {
	case *op.Set:
		return m.set(o, now)
	case *op.Delete:
		return m.del(o)
	case *op.Expire:
		return m.expireKey(o, now)
	case *op.Incr:
		return m.incr(o)
	case *op.AppendTo:
		if len(m.value)+len(o.Value) > int(o.MaxBytes) {
			return op.Result{Status: op.TooLarge}
		}
		return m.write(m.value + string(o.Value))
	case *op.SetRange:
		return m.setRange(o)
	}
	panic("no such operation")
}

func (m *model) current() uint64 {
	if m.exists {
		return m.rev
	}
	return 0
}

func (m *model) allows(c op.Cond, value []byte, rev uint64) bool {
	equal := m.value == string(value)
	return [...]bool{
		op.Always: true, op.IfNone: !m.exists, op.IfAny: m.exists, op.IfEqual: m.exists && equal, op.IfOther: !m.exists || !equal,
		op.IfRev: m.current() == rev,
	}[c]
}

func (m *model) old(want bool) (res op.Result) {
	if want && m.exists {
		res.Found, res.Value = true, []byte(m.value)
	}
	return res
}

func (m *model) write(value string) op.Result {
	m.exists, m.value, m.rev = true, value, m.rev+1
	return op.Result{Done: true, Int: int64(len(value)), Rev: m.rev}
}

func (m *model) remove() {
	m.exists, m.value, m.expire, m.rev = false, "", 0, m.rev+1
}

// due is the expiry that the key gets, and whether the key goes at once.
func (m *model) due(e op.Expiry, now op.Timestamp) (at op.Timestamp, gone bool) {
	switch e.Mode {
	case op.ExpiryKeep:
		return m.expire, false
	case op.ExpiryIn:
		return now.Add(e.Milli), e.Milli <= 0
	case op.ExpiryAt:
		at = op.FromUnixMilli(e.Milli)
		return at, at <= now
	}
	return 0, false
}

func (m *model) set(o *op.Set, now op.Timestamp) op.Result {
	res := m.old(o.WantOld)
	if !m.allows(o.Cond, o.CondValue, o.CondRev) {
		res.Rev = m.current()
		return res
	}
	res.Done = true
	at, gone := m.due(o.Expiry, now)
	switch {
	case gone && m.exists:
		m.remove()
		res.Rev = m.rev
	case !gone:
		res.Rev = m.write(string(o.Value)).Rev
		m.expire = at
	}
	return res
}

func (m *model) del(o *op.Delete) op.Result {
	res := m.old(o.WantOld)
	if m.exists && m.allows(o.Cond, o.CondValue, o.CondRev) {
		m.remove()
		res.Done, res.Rev = true, m.rev
		return res
	}
	res.Rev = m.current()
	return res
}

func (m *model) expireKey(o *op.Expire, now op.Timestamp) op.Result {
	if !m.exists {
		return op.Result{}
	}
	res := m.old(o.WantOld)
	res.Found = true
	at, gone := m.due(o.Expiry, now)
	switch o.Expiry.Mode {
	case op.ExpiryClear:
		res.Done = m.expire != 0
	case op.ExpiryIn, op.ExpiryAt:
		has := func(c op.ExpireCond) bool { return o.Conds&c != 0 }
		was, is := m.expire>>op.CounterBits, at>>op.CounterBits
		res.Done = !(has(op.ExpireNone) && m.expire != 0 || has(op.ExpireAny) && m.expire == 0 ||
			has(op.ExpireLater) && (m.expire == 0 || is <= was) || has(op.ExpireSooner) && m.expire != 0 && is >= was)
	}
	switch {
	case res.Done && gone:
		m.remove()
	case res.Done:
		m.expire = at
	}
	return res
}

var canonical = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

func (m *model) incr(o *op.Incr) op.Result {
	n := int64(0)
	if m.exists {
		var err error
		if n, err = strconv.ParseInt(m.value, 10, 64); err != nil || !canonical.MatchString(m.value) {
			return op.Result{Status: op.NotInteger}
		}
	}
	sum := n + o.Delta
	if n > 0 && o.Delta > 0 && sum < 0 {
		return op.Result{Status: op.Overflow}
	}
	res := m.write(strconv.FormatInt(sum, 10))
	res.Int = sum
	return res
}

func (m *model) setRange(o *op.SetRange) op.Result {
	if len(o.Value) == 0 {
		return op.Result{Int: int64(len(m.value))}
	}
	end := int(o.Offset) + len(o.Value)
	if end > int(o.MaxBytes) {
		return op.Result{Status: op.TooLarge}
	}
	b := []byte(m.value)
	for len(b) < end {
		b = append(b, 0)
	}
	copy(b[o.Offset:], o.Value)
	return m.write(string(b))
}
