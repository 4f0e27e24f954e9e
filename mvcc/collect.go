package mvcc

import (
	"bytes"

	"kahuna/op"
	"kahuna/storage"
)

// Collection. Below the safe point P nobody reads any more, so of the versions of a name at or below P only the newest one is
// needed, which a read at P or later may land on. The others are garbage, and so is the newest one when it says that the name
// is not there: nothing says the same. What holds throughout, also between the pages of a collection:
//
//  1. A read at P or above has the same answer before and after. While a newer version stands that a read would land on, what is
//     older may go in any order.
//  2. A deletion goes in one batch with the last of what is older. Else that would be taken for what the name was.
//  3. The current record of a deleted name has something in the history, for as long as it stands. So all garbage is found by
//     going through the history, and names that were written once cost nothing.
//
// Names with an intent are left alone until that is resolved.

// CollectLimits bound a page of a collection.
type CollectLimits struct {
	Bytes int // of the deletions, their keys and RowBytes for each. One deletion is always allowed
	Rows  int // versions looked at; the page ends at the first name after so many
}

// Collected is what a page of a collection has done.
type Collected struct {
	Versions int
	Bytes    int64        // they took, about
	Next     *op.Position // where to go on; nil: the range is done
}

// Collect removes the garbage of the names of a space in a range, from its beginning on, as far as the limits let it. ErrNoRoom:
// nothing was done.
func (w Writer) Collect(sp op.Space, from, to op.Position, safe op.Timestamp, limits CollectLimits) (Collected, error) {
	c := collection{w: w, safe: safe, limits: limits}
	lo, hi := storage.Bounds(storage.KindHistory, sp, from, to)
	walk := walk{r: w.Batch, safe: safe, max: limits.Rows}
	next, err := walk.run(lo, hi, c.version)
	if err != nil {
		return Collected{}, err
	}
	if !c.full {
		if err := c.leave(); err != nil {
			return Collected{}, err
		}
	}
	if c.full {
		next = positionOf(c.name)
	}
	return Collected{Versions: c.versions, Bytes: c.freed, Next: next}, nil
}

// collection is a page under way.
type collection struct {
	w        Writer
	safe     op.Timestamp
	limits   CollectLimits
	bytes    int
	versions int
	freed    int64
	full     bool // the name at hand does not fit any more, and the page has ended with it

	name op.Name // at hand; Key nil and Space 0 before the first
	cur  stored  // its current version
	kept *old    // its newest version at or below the safe point, if that is not the current one
}

func (c *collection) version(n op.Name, v old) (step, error) {
	if v.first {
		if err := c.leave(); err != nil || c.full {
			return stop, err
		}
		ok, err := c.enter(n)
		if err != nil || !ok {
			return nextName, err
		}
		if c.cur.TS > c.safe {
			v.key = bytes.Clone(v.key)
			c.kept = &v
			return goOn, nil
		}
	}
	if err := c.remove(&v); err != nil || c.full {
		return stop, err
	}
	return goOn, nil
}

// enter begins with a name; false when it is to be left alone.
func (c *collection) enter(n op.Name) (ok bool, err error) {
	c.name, c.kept = n, nil
	c.cur, ok, err = load(c.w.Batch, n)
	if ok = ok && !c.cur.intent; !ok {
		c.cur = stored{}
	}
	return ok, err
}

// leave ends with a name all of whose older versions are gone.
func (c *collection) leave() error {
	switch {
	case c.kept != nil && droppable(c.kept, &c.cur, c.safe):
		return c.remove(c.kept)
	case c.kept == nil && c.cur.Deleted:
		c.w.Batch.Delete(storage.AppendCurrent(nil, c.name)) // it has room: see take
		c.versions++
		c.freed += int64(len(c.name.Key) + c.cur.encodedBytes())
	}
	return nil
}

// droppable tells whether the newest version at or below the safe point can go, when a newer one is current: it says that the
// name is not there. It stays while the current one is a deletion, so that that one is found later.
func droppable(kept *old, cur *stored, safe op.Timestamp) bool {
	return !cur.Deleted && !kept.liveAt(safe)
}

// remove deletes a version, if it fits the page.
func (c *collection) remove(v *old) error {
	chunks := int(chunkCount(v.chunks))
	ok, err := c.take((1 + chunks) * (len(v.key) + RowBytes))
	if !ok {
		return err
	}
	c.freed += int64(len(v.key)+v.encodedBytes()) + int64(v.chunks)
	c.w.dropChunks(c.name, v.TS, v.chunks)
	c.w.Batch.Delete(bytes.Clone(v.key))
	return nil
}

// take makes room for the deletion of a version, and with it of the current one of its name, which may have to go at once.
func (c *collection) take(bytes int) (ok bool, err error) {
	first := c.versions == 0
	fits := c.w.room(bytes+rowBytes(c.name, 1)) == nil
	if first && !fits {
		return false, ErrNoRoom
	}
	if !fits || !first && c.bytes+bytes > c.limits.Bytes {
		c.full = true
		return false, nil
	}
	c.bytes += bytes
	c.versions++
	return true, nil
}
