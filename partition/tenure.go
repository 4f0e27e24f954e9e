package partition

import "kahuna/op"

// tenure is how a lock is held, as far as it matters to those who wait for it. The rules are those of package locks, which has
// the last word: what is judged here only says for whom it is worth asking.
type tenure struct {
	shared  bool
	permits uint32 // 1: exclusive; of no meaning when shared
	holders int
}

func tenureOf(s *op.LockState) tenure {
	return tenure{shared: s.Shared, permits: max(s.Permits, 1), holders: len(s.Holds)}
}

// by is the tenure of one holder who asked with o.
func by(o *op.LockAcquire) tenure {
	return tenure{shared: o.Shared, permits: max(o.Permits, 1), holders: 1}
}

// clashes tells whether a request names another number of permits than the holders did. It is answered with an error.
func (t tenure) clashes(o *op.LockAcquire) bool { return t.holders > 0 && t.size() != by(o).size() }

// size is the number of permits that a mode stands for.
func (t tenure) size() uint32 {
	if t.shared {
		return 1
	}
	return t.permits
}

// admits tells whether there is room for a request. holds: its owner is one of the holders.
func (t tenure) admits(o *op.LockAcquire, holds bool) bool {
	return holds && (t.holders == 1 || t.shared == o.Shared) || t.fits(by(o))
}

// fits tells whether more can come.
func (t tenure) fits(more tenure) bool {
	switch {
	case t.holders == 0:
		return true
	case t.shared || more.shared:
		return t.shared && more.shared
	}
	return uint64(t.holders)+uint64(more.holders) <= uint64(t.permits)
}

// plus is the tenure when more have come.
func (t tenure) plus(more tenure) tenure {
	if t.holders == 0 {
		return more
	}
	t.holders += more.holders
	return t
}

// freer tells whether somebody may get the lock who did not before: a holder has gone, or the mode is another one.
func (t tenure) freer(before tenure) bool {
	return t.holders < before.holders || t.shared != before.shared || t.permits != before.permits
}
