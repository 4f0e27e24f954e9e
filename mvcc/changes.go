package mvcc

import (
	"bytes"

	"kahuna/op"
	"kahuna/storage"
)

// Version is a version of a name as a list of changes has it. Its value may still have to be fetched.
type Version struct {
	stored
	Name op.Name
}

// Lost tells whether the version's value was not kept (NOREV).
func (v *Version) Lost() bool { return v.lost }

// ValueBytes is the length of the version's value.
func (v *Version) ValueBytes() int { return len(v.Value) + int(v.chunks) }

// Fetch reads the value, when that stands apart.
func (v *Version) Fetch(r Reader) error { return v.fill(r, v.Name) }

// Window is which versions are of interest: those above Since, up to UpTo. Who goes through them may lower UpTo on the way.
type Window struct {
	Since, UpTo op.Timestamp
}

// Changes goes through the versions of the names between two keys of current records that lie in a window: name by name, of each the
// oldest first. What fn gets is its own. stop is asked before each name and ends the walk; at is the name that comes next then.
//
// All versions of the window are there to be found if r holds everything that was written at or below UpTo, save what intents may
// become, and if nothing above Since was collected: a version that is not the current one stands in the history. An intent that was laid
// below UpTo may become a version of the window, and ends the walk with IntentError. One that was laid at or above UpTo commits above
// it.
func Changes(r Reader, lo, hi []byte, w *Window, stop func(next op.Name) bool, fn func(Version) error) error {
	return r.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		n, err := storage.ParseCurrent(key)
		if err != nil || stop(n) {
			return false, err
		}
		s, err := decode(value)
		if err != nil {
			return false, err
		}
		return true, changesOf(r, n, s, w, fn)
	})
}

func changesOf(r Reader, n op.Name, s stored, w *Window, fn func(Version) error) error {
	if s.intent {
		if err := undecided(r, n, 0, w.UpTo); err != nil {
			return err
		}
	}
	if s.TS <= w.Since {
		return nil
	}
	own := op.Name{Space: n.Space, Key: bytes.Clone(n.Key), Sub: bytes.Clone(n.Sub)}
	if err := olderChanges(r, own, min(s.TS-1, w.UpTo), w, fn); err != nil || s.TS > w.UpTo {
		return err
	}
	s.Value = bytes.Clone(s.Value)
	return fn(Version{s, own})
}

// olderChanges goes through the history of a name up to a timestamp, backwards: it has the newest version first.
func olderChanges(r Reader, n op.Name, upTo op.Timestamp, w *Window, fn func(Version) error) error {
	lo, hi := storage.AppendHistory(nil, n, upTo), storage.AppendHistory(nil, n, w.Since)
	return r.Scan(lo, hi, true, false, func(_, value []byte) (bool, error) {
		s, err := decode(bytes.Clone(value))
		if err != nil || s.TS > w.UpTo {
			return false, err
		}
		return true, fn(Version{s, n})
	})
}
