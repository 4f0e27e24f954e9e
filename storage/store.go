package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// Store is a node's data. All methods may be called by several goroutines.
type Store struct {
	dir          string
	boot         string
	limits       limits
	db           *badger.DB
	lock         *os.File
	faults       *faults
	alarmsBefore uint64 // alarm.rung when the store was opened
	reads        *usage // calls that read; they never wait in Badger
	writes       *usage // calls that commit, or wait for commits
	commits      *gate
	writeSets    sync.Pool

	// checkpointing holds a token while nobody makes a checkpoint. mems belongs to whoever has taken it.
	checkpointing chan struct{}
	mems          map[uint64]*memLog

	reclaiming reclaiming
	leftOpen   bool // Close has left Badger at work

	ended    chan struct{} // closed when Close begins
	closing  sync.Once
	closeErr error
}

// failedCloseWait is how long Close waits for Badger after a fault. Badger tries for ever to flush to a failing disk.
const failedCloseWait = 3 * time.Second

// Open opens the store in a directory, or makes one. A damaged store (*DamagedError), and one of a later version
// (ErrNewerFormat), are not changed.
func Open(o Options) (*Store, error) {
	o.setDefaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s, err := open(o)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

func open(o Options) (*Store, error) {
	if err := makeReady(o.Dir, o.BootID); err != nil {
		return nil, err
	}
	s := newStore(o)
	if err := s.openBadger(o.badger(s.limits, s.faults)); err != nil {
		return nil, err
	}
	s.alarmsBefore = alarm.rung.Load()
	s.faults.armed.Store(true)
	if err := s.checkFormatKey(); err != nil {
		_ = s.db.Close()
		return nil, err
	}
	return s, nil
}

func newStore(o Options) *Store {
	s := &Store{
		dir:           o.Dir,
		boot:          o.BootID,
		limits:        o.limits(),
		reads:         newUsage(),
		writes:        newUsage(),
		commits:       newGate(),
		checkpointing: make(chan struct{}, 1),
		ended:         make(chan struct{}),
		mems:          make(map[uint64]*memLog),
		faults:        &faults{raised: make(chan struct{}), log: o.Logger, notify: o.OnFault},
	}
	s.checkpointing <- struct{}{}
	s.writeSets.New = func() any { return new(writeSet) }
	s.faults.mark = func(e *DamagedError) {
		if err := replaceFile(o.Dir, damagedFile, []byte(e.Error()+"\n")); err != nil {
			o.Logger.Error().Err(err).Msg("the damage could not be noted on disk")
		}
	}
	return s
}

// makeReady brings the directory to a state in which everything in it is to be trusted under this boot id, and says so in
// CHECKPOINT before Badger adds to it.
func makeReady(dir, boot string) error {
	found, err := readFormat(dir)
	if err != nil {
		return err
	}
	if found == 0 {
		if err := checkEmpty(dir); err != nil {
			return err
		}
		if err := writeFormat(dir); err != nil {
			return err
		}
	}
	if err := readDamaged(dir); err != nil {
		return err
	}
	p, err := survey(dir, boot)
	if err != nil {
		return err
	}
	if err := p.carryOut(dir); err != nil {
		return err
	}
	return writeCheckpoint(dir, &checkpoint{boot: boot, manifest: p.manifest, mems: p.keep})
}

// checkEmpty refuses to make a store where Badger's files are but not the format's.
func checkEmpty(dir string) error {
	mems, rest, err := listFiles(dir)
	if err != nil {
		return err
	}
	if rest.manifest || rest.tables > 0 || len(mems) > 0 {
		return &DamagedError{File: formatFile, Reason: "the file is missing"}
	}
	return nil
}

// openBadger opens Badger, and makes an error of a panic in it.
func (s *Store) openBadger(o badger.Options) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = caught("", r)
		}
	}()
	s.db, err = badger.Open(o)
	return err
}

// checkFormatKey sees that the store's content is of the format that the file says, and writes it into a new one.
func (s *Store) checkFormatKey() error {
	b := s.NewBatch()
	defer b.Discard()
	value, ok, err := b.Get(formatKey)
	switch {
	case err != nil:
		return err
	case !ok:
		b.Set(formatKey, []byte{storedFormat})
		return b.Commit()
	case len(value) != 1 || value[0] == 0:
		return &DamagedError{Reason: "the format marker is not a number"}
	case value[0] > storedFormat:
		return ErrNewerFormat{Found: int(value[0]), Known: storedFormat}
	}
	return nil
}

// lockDir keeps other processes away from before the first file is touched. Badger's own lock comes too late for that.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrInUse, dir), f.Close())
	}
	return f, nil
}

// Fail makes err the store's fault, as an error of the disk would be: the caller found that the store must not go on.
func (s *Store) Fail(err error) { _ = s.faults.raise(err) }

// Fault is the fault that stopped the store, or nil.
func (s *Store) Fault() error { return s.faults.check() }

// MaxBatchBytes is the most a batch may have, see Batch.Bytes.
func (s *Store) MaxBatchBytes() int { return s.limits.batchBytes }

// MaxBatchKeys is the most keys a batch may write.
func (s *Store) MaxBatchKeys() int { return s.limits.batchKeys }

// MaxValueBytes is the longest value.
func (s *Store) MaxValueBytes() int { return s.limits.valueBytes }

// Close waits for calls in progress, makes everything durable and marks the store as cleanly closed. Batches and snapshots
// that are still open fail from then on. While a Reclaim is under way that takes long, it makes everything durable and leaves the
// store locked until the process ends, which should be soon. After a fault it marks nothing, and returns within failedCloseWait even if Badger
// does not: its goroutines are then left behind, and the process should end.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	close(s.ended)
	<-s.reads.finish()
	done := make(chan error, 1)
	go func() { done <- s.shutDown() }()
	err := s.await(done)
	if s.leftOpen {
		return err // the lock too: nobody may open the store before the process has ended
	}
	return errors.Join(err, s.lock.Close())
}

// await is shutDown's result; after a fault it is waited for only so long.
func (s *Store) await(done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-s.faults.raised:
	}
	late := time.NewTimer(failedCloseWait)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return s.faults.check()
	}
}

// shutDown waits for the commits and the checkpoint under way, and closes Badger. After a fault it does not wait first: a
// commit may be stuck behind a disk that fails, and it is Badger's Close that lets it go.
func (s *Store) shutDown() error {
	idle := s.writes.finish()
	select {
	case <-idle:
	case <-s.faults.raised:
	}
	if s.faults.check() == nil && !s.endReclaim() {
		return s.leaveOpen(idle)
	}
	err := s.closeBadger()
	<-idle
	<-s.checkpointing // for good
	if fault := s.faults.check(); fault != nil {
		return fault
	}
	if err != nil {
		return err
	}
	return s.markClean()
}

// leaveOpen makes everything durable and leaves Badger as it is, at a reclaim that would take too long to wait for. For who opens
// the store next it is as if the process had been killed.
func (s *Store) leaveOpen(idle <-chan struct{}) error {
	<-idle
	<-s.checkpointing // for good
	s.leftOpen = true
	return s.checkpoint(nil)
}

func (s *Store) closeBadger() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = caught("", r)
		}
	}()
	return s.db.Close()
}

// markClean says on disk that all is in tables. Badger's Close has flushed every memtable; a *.mem that an open snapshot
// held on to would be taken for news by the next Open.
func (s *Store) markClean() error {
	mems, _, err := listFiles(s.dir)
	if err != nil {
		return err
	}
	for _, m := range mems {
		if err := os.Remove(filepath.Join(s.dir, m.name)); err != nil {
			return err
		}
	}
	if err := syncPath(s.dir); err != nil {
		return err
	}
	size, err := manifestBytes(s.dir)
	if err != nil {
		return err
	}
	return writeCheckpoint(s.dir, &checkpoint{boot: s.boot, clean: true, manifest: size})
}
