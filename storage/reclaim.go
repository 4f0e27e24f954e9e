package storage

import (
	"slices"
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
	if err = s.turnMemtable(); err == nil {
		err = s.db.Flatten(1)
	}
	if err != nil {
		// There was nothing to compact, a compaction was in the way, or the store closes. Nothing is lost but time.
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

// fillKey is what a memtable is filled up with. It is there for moments only.
var fillKey = []byte{byte(KindFormat), 2}

// turnMemtable fills up the memtable, so that Badger makes a table of it and takes another: few markers in it may stand for much.
// Badger has no call for that.
func (s *Store) turnMemtable() error {
	full, err := s.newestMem()
	if err != nil {
		return err
	}
	for now := full; now == full; {
		if err := s.writeFill(func(b *Batch) { b.Set(fillKey, make([]byte, s.limits.valueBytes)) }); err != nil {
			return err
		}
		if now, err = s.newestMem(); err != nil {
			return err
		}
	}
	if err := s.writeFill(func(b *Batch) { b.Delete(fillKey) }); err != nil {
		return err
	}
	return s.awaitTable(full)
}

func (s *Store) writeFill(fill func(b *Batch)) error {
	b := s.NewBatch()
	defer b.Discard()
	fill(b)
	return b.Commit()
}

func (s *Store) newestMem() (id int, err error) {
	mems, _, err := listFiles(s.dir)
	for _, m := range mems {
		id = max(id, int(m.id))
	}
	return id, err
}

// awaitTable waits until a memtable has become a table, whose file goes then; not for ever, as a reader may hold on to it.
func (s *Store) awaitTable(id int) error {
	for range memtableLooks {
		mems, _, err := listFiles(s.dir)
		if err != nil || !slices.ContainsFunc(mems, func(m memFile) bool { return int(m.id) == id }) {
			return err
		}
		again := time.NewTimer(memtableInterval)
		select {
		case <-again.C:
		case <-s.ended:
			again.Stop()
			return ErrClosed
		}
	}
	return s.faults.check()
}

const (
	memtableInterval = 50 * time.Millisecond
	memtableLooks    = 200
)
