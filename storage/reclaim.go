package storage

import (
	"sync"
	"time"
)

// Deleting a key writes a marker, and the space of both is free only when compaction has carried the marker down to where the key
// is. Badger compacts a level when it is too large, and markers are small: of values of 1 KiB, markers for all of them take no
// more than the level above may have, so that everything can be deleted and nothing gets free. Who has deleted much therefore
// calls Reclaim, which carries all levels down to the last one.

// reclaiming is the one reclaim that may be under way.
type reclaiming struct {
	mu    sync.Mutex
	done  chan struct{} // closed at its end; nil: there was none
	ended bool          // none begins any more
}

// reclaimCloseWait is how long Close waits for a reclaim, which Badger can't be told to stop.
const reclaimCloseWait = 2 * time.Second

// Reclaim begins to give the space of deleted keys back to the disk, in the background. It rewrites most of the store once. It is
// false, and nothing was begun, while one is under way, and when the store closes.
func (s *Store) Reclaim() bool {
	r := &s.reclaiming
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || s.faults.check() != nil {
		return false
	}
	if r.done != nil {
		select {
		case <-r.done:
		default:
			return false
		}
	}
	r.done = make(chan struct{})
	go s.flatten(r.done)
	return true
}

func (s *Store) flatten(done chan struct{}) {
	defer close(done)
	var err error
	defer s.recoverPanic(nil, &err)
	before, _ := s.Size()
	if err = s.db.Flatten(1); err != nil {
		// There was nothing to compact, or a compaction was in the way. Nothing is lost but time.
		s.faults.log.Debug().Err(err).Msg("the store's space was not reclaimed to the end")
	}
	after, _ := s.Size()
	s.faults.log.Info().Int64("before_bytes", before).Int64("after_bytes", after).Msg("the space of deleted keys was reclaimed")
}

// endReclaim lets none begin any more, and waits for the one under way. It is false when that takes too long: Badger must not be
// closed then.
func (s *Store) endReclaim() bool {
	r := &s.reclaiming
	r.mu.Lock()
	r.ended = true
	done := r.done
	r.mu.Unlock()
	if done == nil {
		return true
	}
	late := time.NewTimer(reclaimCloseWait)
	defer late.Stop()
	select {
	case <-done:
		return true
	case <-late.C:
		return false
	}
}
