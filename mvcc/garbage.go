package mvcc

import (
	"kahuna/op"
	"kahuna/storage"
)

// Garbage is the first part of a range that has something to collect.
type Garbage struct {
	From, To op.Position  // just around it
	Versions int          // about how many there are; 0: there is nothing, and no From and To
	Rows     int          // looked at
	Next     *op.Position // where to go on looking; nil: the range is done
}

// GarbageLimits bound what one look finds.
type GarbageLimits struct {
	Versions int // to collect
	Span     int // versions looked at from the first garbage on: those that its collection has to go through again
	Rows     int // versions looked at
}

// versionsCounted is how many versions of one name are counted; it may have many more.
const versionsCounted = 256

// FindGarbage looks for what Writer.Collect would remove, by the same rules.
func FindGarbage(r Reader, sp op.Space, from, to op.Position, safe op.Timestamp, limits GarbageLimits) (Garbage, error) {
	lo, hi := storage.Bounds(storage.KindHistory, sp, from, to)
	f := finder{walk: walk{r: r, safe: safe, max: limits.Rows}, limits: limits}
	next, err := f.walk.run(lo, hi, f.version)
	if err != nil {
		return Garbage{}, err
	}
	if f.stopped {
		next = positionOf(f.walk.name)
	} else {
		f.leave()
	}
	f.found.Next, f.found.Rows = next, f.walk.rows
	return f.found, nil
}

type finder struct {
	walk    walk
	limits  GarbageLimits
	found   Garbage
	since   int // rows looked at when the first was found
	stopped bool

	name op.Name
	cur  stored
	kept *old
}

func (f *finder) version(n op.Name, v old) (step, error) {
	if v.first {
		f.leave()
		if f.found.Versions >= f.limits.Versions || f.found.Versions > 0 && f.walk.rows-f.since > f.limits.Span {
			f.stopped = true
			return stop, nil
		}
		cur, ok, err := load(f.walk.r, n)
		if err != nil || !ok || cur.intent {
			return nextName, err
		}
		f.name, f.cur = n, cur
		if cur.TS > f.walk.safe {
			f.kept = &v
			return goOn, nil
		}
	}
	f.note()
	if f.walk.older > versionsCounted {
		return nextName, nil
	}
	return goOn, nil
}

func (f *finder) leave() {
	if f.kept != nil && droppable(f.kept, &f.cur, f.walk.safe) {
		f.note()
	}
	f.kept = nil
}

func (f *finder) note() {
	if f.found.Versions == 0 {
		f.found.From, f.since = *positionOf(f.name), f.walk.rows
	}
	f.found.To = positionAfter(f.name)
	f.found.Versions++
}
