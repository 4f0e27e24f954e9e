package storage

import (
	"bytes"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"
	"golang.org/x/sys/unix"
)

// Stats are a store's figures, for operators and for deciding when to refuse writes: Badger maps its files into memory, so
// that a full disk ends the process.
type Stats struct {
	TableBytes    int64
	Tables        int
	Level0Tables  int // commits stall at 15
	StaleBytes    int64
	DiskFreeBytes int64
}

// Stats are the present figures.
func (s *Store) Stats() (Stats, error) {
	if err := s.begin(); err != nil {
		return Stats{}, err
	}
	defer s.end()
	var st Stats
	for _, level := range s.db.Levels() {
		st.TableBytes += level.Size
		st.Tables += level.NumTables
		st.StaleBytes += level.StaleDatSize
		if level.Level == 0 {
			st.Level0Tables = level.NumTables
		}
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return Stats{}, err
	}
	st.DiskFreeBytes = int64(disk.Bavail) * disk.Bsize
	return st, nil
}

// Size is how many bytes the tables have. What is in memtables only is not counted.
func (s *Store) Size() (int64, error) {
	st, err := s.Stats()
	return st.TableBytes, err
}

// RangeBytes estimates how many bytes of the tables are in [lo, hi): whole tables, or half of one that crosses a bound.
func (s *Store) RangeBytes(lo, hi []byte) (int64, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	var sum int64
	for _, t := range s.db.Tables() {
		sum += overlap(t, lo, hi)
	}
	return sum, nil
}

func overlap(t badger.TableInfo, lo, hi []byte) int64 {
	left, right := y.ParseKey(t.Left), y.ParseKey(t.Right)
	bounded := len(hi) > 0
	switch {
	case bytes.Compare(right, lo) < 0 || bounded && bytes.Compare(left, hi) >= 0:
		return 0
	case bytes.Compare(left, lo) >= 0 && (!bounded || bytes.Compare(right, hi) < 0):
		return int64(t.OnDiskSize)
	}
	return int64(t.OnDiskSize) / 2
}

// Verify reads all tables and checks their checksums, index included, also of what nobody reads. Damage is a fault. It is
// for a slow round in the background: an index is otherwise checked only when the store is opened. step is called before
// each table, so that the caller can slow it down, or end it with false; nil means at full speed to the end.
func (s *Store) Verify(step func() bool) error {
	ids, err := s.tableIDs()
	if err != nil {
		return err
	}
	for id := range ids {
		if step != nil && !step() {
			return nil
		}
		if err := s.verifyOne(id); err != nil {
			return err
		}
	}
	return nil
}

// verifyOne checks one table, which a compaction may have removed since it was listed.
func (s *Store) verifyOne(id uint64) error {
	_, damage := verifyTable(s.dir, id)
	ids, err := s.tableIDs()
	if err != nil || damage == nil {
		return err
	}
	if _, there := ids[id]; there {
		return s.faults.raise(damage)
	}
	return nil
}

func (s *Store) tableIDs() (map[uint64]struct{}, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	ids := make(map[uint64]struct{})
	for _, t := range s.db.Tables() {
		ids[t.ID] = struct{}{}
	}
	return ids, nil
}
