package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"kahuna/op"
)

// load makes random operations that mean something together: on few names, so that they meet each other.
type load struct {
	r    *rand.Rand
	now  func() op.Timestamp
	txns []loadTxn
}

type loadTxn struct {
	id    op.TxnID
	home  op.Name
	names []op.Name
}

var loadKeys = func() (all [][]byte) {
	for _, k := range []string{"a", "b", "c", "{b}1", "{t}1", "{t}2", "{t}3", "x{t}", "\x00", "", "user:1", "user:2", "foo", "bar", "hello"} {
		all = append(all, []byte(k))
	}
	return all
}()

func (l *load) key() []byte { return loadKeys[l.r.IntN(len(loadKeys))] }

func (l *load) owner() []byte { return fmt.Appendf(nil, "o%d", l.r.IntN(3)) }

func (l *load) value() []byte {
	n := l.r.IntN(20)
	switch l.r.IntN(40) {
	case 0:
		n = 600 << 10
	case 1, 2, 3:
		n = 1000 + l.r.IntN(50)
	}
	return bytes.Repeat([]byte{byte('0' + l.r.IntN(10))}, n)
}

func (l *load) expiry() op.Expiry {
	return op.Expiry{Mode: op.ExpiryMode(l.r.IntN(4)), Milli: l.r.Int64N(3) - 1 + op.EpochUnixMilli*int64(l.r.IntN(2))}
}

func (l *load) name() op.Name { return op.Name{Space: op.Space(1 + l.r.IntN(3)), Key: l.key()} }

// single is an operation of keys, locks or sequences.
func (l *load) single() op.Op {
	k := l.key()
	yes := func() bool { return l.r.IntN(2) == 0 }
	switch l.r.IntN(18) {
	case 0, 1:
		return &op.Set{Key: k, Value: l.value(), Cond: op.Cond(l.r.IntN(6)), CondRev: l.r.Uint64N(3), Expiry: l.expiry(), NoRev: yes(), WantOld: yes()}
	case 2:
		return l.hash(k)
	case 3:
		return &op.Delete{Key: k, WantOld: yes()}
	case 4:
		return &op.Expire{Key: k, Expiry: l.expiry()}
	case 5:
		return &op.Incr{Key: k, Delta: 1}
	case 6:
		return &op.AppendTo{Key: k, Value: l.value(), MaxBytes: 1 << 20}
	case 7:
		return &op.SetRange{Key: k, Offset: l.r.Uint64N(2000), Value: l.value(), MaxBytes: 1 << 20}
	case 8:
		return &op.Get{Key: k}
	case 9:
		return &op.IncrFloat{Key: k, Delta: 0.5}
	case 10, 11:
		return &op.LockAcquire{Name: k, Owner: l.owner(), TTLMilli: 1 + l.r.Int64N(9), Permits: 2}
	case 12:
		return &op.LockRelease{Name: k, Owner: l.owner()}
	case 13:
		return &op.LockBreak{Name: k, Owner: l.owner(), AnyOwner: yes()}
	case 14:
		return &op.SeqNext{Name: k, Count: 1 + l.r.Uint32N(3), Idem: l.owner(), IdemMilli: l.r.Int64N(3)}
	case 15:
		return &op.SeqNext{Name: k, Count: 1}
	case 16:
		return &op.SeqDelete{Name: k}
	}
	return &op.LockExtend{Name: k, Owner: l.owner(), TTLMilli: 5}
}

// hash is an operation on a hash.
func (l *load) hash(k []byte) op.Op {
	switch l.r.IntN(4) {
	case 0:
		return &op.HashDelete{Key: k, Fields: [][]byte{l.owner(), l.owner()}}
	case 1:
		return &op.HashIncr{Key: k, Field: l.owner(), Delta: 1, MaxBytes: 1 << 20}
	}
	return &op.HashSet{Key: k, Fields: []op.Field{{Name: l.owner(), Value: l.value()}}, IfNone: l.r.IntN(2) == 0, MaxBytes: 1 << 20}
}

// any is any operation of a partition.
func (l *load) any() op.Op {
	switch l.r.IntN(22) {
	case 0, 1:
		o := &op.Multi{}
		for range 1 + l.r.IntN(4) {
			o.Ops = append(o.Ops, l.single())
		}
		return o
	case 2, 3:
		return l.prewrite()
	case 4, 5, 6, 7, 8:
		return l.endTxn()
	case 9:
		return &op.Sweep{Name: l.name(), TS: l.now() - op.Timestamp(l.r.IntN(20))}
	case 10:
		if l.r.IntN(4) == 0 {
			return &op.DeleteRange{Space: op.Space(1 + l.r.IntN(4)), UpTo: l.now() - op.Timestamp(l.r.IntN(20)), Limit: 1 + l.r.Uint32N(4)}
		}
		return &op.Scan{Space: op.SpaceKey, Limit: 3, ByName: l.r.IntN(2) == 0}
	case 11:
		if l.r.IntN(4) == 0 {
			return &op.SafePoint{At: l.now() - min(l.now(), op.Timestamp(l.r.IntN(9000)))}
		}
		return &op.Collect{Space: op.Space(1 + l.r.IntN(4)), To: loadEnd}
	case 12:
		return l.part()
	}
	return l.single()
}

func (l *load) prewrite() op.Op {
	t := loadTxn{id: max(1, l.now()-op.Timestamp(l.r.IntN(10)*l.r.IntN(3000))), home: l.name()}
	o := &op.Prewrite{Txn: t.id, Home: t.home, AtHome: l.r.IntN(2) == 0, Deadline: l.now() + op.Timestamp(l.r.IntN(50))}
	for range 1 + l.r.IntN(3) {
		w := op.Write{Name: l.name(), Type: 1, Deleted: l.r.IntN(4) == 0, NoRev: l.r.IntN(4) == 0}
		// What stands at names of locks and sequences has to stay readable.
		if w.Name.Space != op.SpaceKey {
			w.Deleted = true
		}
		if !w.Deleted {
			w.Value, w.ExpireAt = l.value(), l.now()+op.Timestamp(l.r.IntN(9000))
		}
		o.Writes, t.names = append(o.Writes, w), append(t.names, w.Name)
	}
	o.Names = t.names
	l.txns = append(l.txns, t)
	return o
}

// part is a part of a transaction whose operations are known beforehand.
func (l *load) part() op.Op {
	m := op.Multi{Ops: []op.Op{l.single()}}
	for l.r.IntN(2) == 0 {
		m.Ops = append(m.Ops, l.single())
	}
	t := loadTxn{id: max(1, l.now()-op.Timestamp(l.r.IntN(10))), home: m.Ops[0].Target()}
	for _, o := range m.Ops {
		t.names = append(t.names, o.Target())
	}
	l.txns = append(l.txns, t)
	if l.r.IntN(2) == 0 {
		return &op.Prepare{Multi: m, Txn: t.id, Home: t.home}
	}
	return &op.CommitMulti{Multi: m, Txn: t.id, Home: t.home, Deadline: l.now() + op.Timestamp(l.r.IntN(50)), Names: t.names}
}

func (l *load) endTxn() op.Op {
	if len(l.txns) == 0 {
		return l.single()
	}
	i := max(0, len(l.txns)-1-l.r.IntN(4))
	t := l.txns[i]
	switch l.r.IntN(6) {
	case 0:
		return &op.Decide{Txn: t.id, Home: t.home, At: l.now()}
	case 1:
		return &op.Settle{Txn: t.id, Home: t.home, Abort: l.r.IntN(2) == 0}
	case 2:
		return &op.Forget{Txn: t.id, Home: t.home}
	case 3:
		return &op.Resolve{Txn: t.id, Names: t.names, Committed: true, At: l.now() + 1}
	}
	return &op.Resolve{Txn: t.id, Names: t.names}
}

// units are the units of one entry.
func (l *load) units() (all []Unit) {
	for range 1 + l.r.IntN(4) {
		var u Unit
		for range 1 + l.r.IntN(3) {
			u = append(u, l.any())
		}
		all = append(all, u)
	}
	return all
}

// randomLog is a log of n entries for a partition that owns names below slot 14000.
func randomLog(seed uint64, n int) (entries []LogEntry) {
	r := &replica{now: 1000}
	l := &load{r: rand.New(rand.NewPCG(seed, 7)), now: func() op.Timestamp { return r.now }}
	for range n {
		r.now += op.Timestamp(l.r.IntN(3000))
		e := r.entry(l.units()...)
		if l.r.IntN(20) == 0 {
			e.Term++
		}
		entries = append(entries, e)
	}
	return entries
}

var loadEnd = op.Position{Slot: 14000}
