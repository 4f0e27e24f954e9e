package mvcc

import (
	"bytes"
	"errors"

	"kahuna/op"
	"kahuna/storage"
)

var (
	// ErrNeedsTime says that a read without a timestamp met a version with an expiry, which only a timestamp can judge: it is
	// to be run again as a snapshot read at a fresh one.
	ErrNeedsTime = errors.New("mvcc: the read needs a timestamp")
	// ErrCollected says that the version that a read lands on is not kept any more.
	ErrCollected = errors.New("mvcc: the version was collected")
	errReadOnly  = errors.New("mvcc: a write to a snapshot")
)

// Latest is the timestamp of a read of what is current.
const Latest op.Timestamp = 0

// At is the View of a read: the state at a timestamp, or the current one for Latest. It reads from a storage snapshot that
// has everything that was ever written at or below the timestamp, save what intents may still become.
type At struct {
	r  Reader
	at op.Timestamp
}

// NewAt makes the View of a read.
func NewAt(r Reader, at op.Timestamp) *At { return &At{r: r, at: at} }

// Now is the timestamp of the read; for Latest it is the end of time.
func (a *At) Now() op.Timestamp {
	if a.at == Latest {
		return op.MaxTimestamp
	}
	return a.at
}

// Get is the live version of a name at the timestamp.
func (a *At) Get(n op.Name) (Record, bool, error) {
	s, err := a.version(n)
	if err != nil {
		return Record{}, false, err
	}
	return a.judge(n, s)
}

// judge turns the version that a read lands on to its answer.
func (a *At) judge(n op.Name, s stored) (Record, bool, error) {
	if s.TS == 0 || s.Deleted {
		return Record{Rev: s.Rev, TS: s.TS}, false, nil
	}
	if s.ExpireAt > 0 && a.at == Latest {
		return Record{}, false, ErrNeedsTime
	}
	if !s.liveAt(a.at) {
		return Record{Rev: s.Rev, TS: s.TS}, false, nil
	}
	if s.lost {
		return Record{}, false, ErrCollected
	}
	if err := s.fill(a.r, n); err != nil {
		return Record{}, false, err
	}
	return s.Record, true, nil
}

// version is the newest version at or below the timestamp.
func (a *At) version(n op.Name) (stored, error) {
	s, ok, err := load(a.r, n)
	if err != nil || !ok {
		return stored{}, err
	}
	return a.settle(n, s)
}

// settle goes on from a current record: it stops at an intent that the read might have to see, and goes into the history
// when the current version is too new.
func (a *At) settle(n op.Name, s stored) (stored, error) {
	if s.intent {
		if err := undecided(a.r, n, 0, a.Now()); err != nil {
			return stored{}, err
		}
	}
	if a.at == Latest || s.TS <= a.at {
		return s, nil
	}
	return older(a.r, n, a.at)
}

// older is the newest version in the history at or below a timestamp.
func older(r Reader, n op.Name, at op.Timestamp) (s stored, err error) {
	lo, hi := storage.AppendHistory(nil, n, at), historyEnd(n)
	err = r.Scan(lo, hi, false, false, func(_, value []byte) (bool, error) {
		s, err = decode(bytes.Clone(value))
		return false, err
	})
	return s, err
}

// Versions goes through the versions of a name, newest first. A version whose value was not kept has lost set.
func (a *At) Versions(n op.Name, fn func(r Record, lost bool) (more bool, err error)) error {
	s, err := a.version(n)
	if err != nil || s.TS == 0 {
		return err
	}
	more, err := a.visit(n, s, fn)
	if err != nil || !more {
		return err
	}
	lo, hi := storage.AppendHistory(nil, n, s.TS-1), historyEnd(n)
	return a.r.Scan(lo, hi, false, false, func(_, value []byte) (bool, error) {
		s, err := decode(value)
		if err != nil {
			return false, err
		}
		return a.visit(n, s, fn)
	})
}

func (a *At) visit(n op.Name, s stored, fn func(Record, bool) (bool, error)) (bool, error) {
	if err := s.fill(a.r, n); err != nil {
		return false, err
	}
	return fn(s.Record, s.lost)
}

// Seen is the version of a name that the read lands on, live or not. The value of one that is not kept is ErrCollected.
func (a *At) Seen(n op.Name) (op.Seen, Record, error) {
	s, err := a.version(n)
	if err != nil {
		return op.Seen{}, Record{}, err
	}
	rec, live, err := a.judge(n, s)
	if err != nil {
		return op.Seen{}, Record{}, err
	}
	return op.Seen{Name: n, TS: s.TS, Live: live}, rec, nil
}

// Scan goes through the live names of a space in the order of slots and names. What fn gets is valid until it returns.
func (a *At) Scan(sp op.Space, from, to op.Position, fn func(op.Name, Record) (more bool, err error)) error {
	lo, hi := storage.Bounds(storage.KindCurrent, sp, from, to)
	return a.ScanKeys(lo, hi, fn)
}

// ScanKeys does the same between two stored keys.
func (a *At) ScanKeys(lo, hi []byte, fn func(op.Name, Record) (more bool, err error)) error {
	return a.r.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		n, err := storage.ParseCurrent(key)
		if err != nil {
			return false, err
		}
		return a.visitCurrent(n, value, fn)
	})
}

// WalkKeys does so too, but asks of each name first whether to leave it out, and goes straight on to where it is told.
func (a *At) WalkKeys(lo, hi []byte, skip func(op.Name) (to []byte), fn func(op.Name, Record) (more bool, err error)) error {
	return a.r.Walk(lo, hi, func(key, value []byte) ([]byte, bool, error) {
		n, err := storage.ParseCurrent(key)
		if err != nil {
			return nil, false, err
		}
		if to := skip(n); to != nil {
			return to, true, nil
		}
		more, err := a.visitCurrent(n, value, fn)
		return nil, more, err
	})
}

// visitCurrent calls fn with what the read sees of a name whose current record is given, if that is live.
func (a *At) visitCurrent(n op.Name, value []byte, fn func(op.Name, Record) (more bool, err error)) (more bool, err error) {
	s, err := decode(value)
	if err != nil {
		return false, err
	}
	if s, err = a.settle(n, s); err != nil {
		return false, err
	}
	r, live, err := a.judge(n, s)
	if err != nil || !live {
		return err == nil, err
	}
	return fn(n, r)
}

// ScanCurrent goes through the current versions of a space that are not deletions, whatever their expiry and whatever intents
// may make of them. What fn gets is valid until it returns.
func ScanCurrent(r Reader, sp op.Space, from, to op.Position, fn func(op.Name, Record) error) error {
	lo, hi := storage.Bounds(storage.KindCurrent, sp, from, to)
	return r.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		n, err := storage.ParseCurrent(key)
		if err != nil {
			return false, err
		}
		s, err := decode(value)
		if err != nil || s.TS == 0 || s.Deleted {
			return err == nil, err
		}
		if err := s.fill(r, n); err != nil {
			return false, err
		}
		return true, fn(n, s.Record)
	})
}

// CountCurrent counts what ScanCurrent goes through.
func CountCurrent(r Reader, sp op.Space, from, to op.Position) (n int64, err error) {
	lo, hi := storage.Bounds(storage.KindCurrent, sp, from, to)
	err = r.Scan(lo, hi, false, false, func(_, value []byte) (bool, error) {
		s, err := decode(value)
		if err == nil && s.TS != 0 && !s.Deleted {
			n++
		}
		return err == nil, err
	})
	return n, err
}

// Put, PutExpiry and Delete refuse: a read changes nothing.
func (a *At) Put(op.Name, Record) (Record, error)    { return Record{}, errReadOnly }
func (a *At) PutExpiry(op.Name, op.Timestamp) error  { return errReadOnly }
func (a *At) Delete(op.Name) (rev uint64, err error) { return 0, errReadOnly }

func historyEnd(n op.Name) []byte { return storage.PrefixEnd(nil, storage.AppendHistoryPrefix(nil, n)) }

// CurrentTimestamp is the timestamp of a name's current version, 0 when there is none.
func CurrentTimestamp(r Reader, n op.Name) (op.Timestamp, error) {
	s, _, err := load(r, n)
	return s.TS, err
}

// HasIntent tells whether a stored current record says that there is an intent on the name.
func HasIntent(value []byte) (bool, error) {
	s, err := decode(value)
	return s.intent, err
}

// IsDeletion tells whether a stored current record says that the name was deleted.
func IsDeletion(value []byte) (bool, error) {
	s, err := decode(value)
	return s.TS > 0 && s.Deleted, err
}
