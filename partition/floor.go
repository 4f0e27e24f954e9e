package partition

import (
	"context"
	"sync"

	"kahuna/op"
)

// floor keeps the timestamps of writes above those of the reads that were served. Admission of an entry with the note that it
// is in flight, and the raising of the floor with the look at what is in flight, are each atomic.
type floor struct {
	mu       sync.Mutex
	at       op.Timestamp
	admitted uint64        // entries that were admitted, ever
	done     uint64        // of those, how many have ended; they end in order
	changed  chan struct{} // closed when done grows; nil while nobody waits
}

// admit notes an entry as in flight if its first timestamp is above the floor.
func (f *floor) admit(first op.Timestamp) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if first <= f.at {
		return false
	}
	f.admitted++
	return true
}

// end notes that the oldest entry in flight has ended.
func (f *floor) end() {
	f.mu.Lock()
	f.done++
	changed := f.changed
	f.changed = nil
	f.mu.Unlock()
	if changed != nil {
		close(changed)
	}
}

// raise puts the floor at or above a timestamp and waits for the entries that were in flight.
func (f *floor) raise(ctx context.Context, at op.Timestamp) error {
	f.mu.Lock()
	f.at = max(f.at, at)
	until := f.admitted
	for f.done < until {
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
	}
	f.mu.Unlock()
	return nil
}
