package fsm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// A snapshot stream is: magic and format, the partition's state, then every key and value of its range, then an empty key, and
// the checksum (CRC-32C) of all of it. Due times are not in it: they are made from the current versions again.

const snapshotMagic = "KAHS\x01"

// ErrSnapshot says that a snapshot stream is cut or damaged. Nothing of it may be trusted.
var ErrSnapshot = errors.New("fsm: the snapshot stream is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// keyRange is a run of stored keys.
type keyRange struct{ lo, hi []byte }

// ranges are the stored keys that belong to a partition's range, or to the meta group.
func ranges(id uint32, s *State) (all []keyRange) {
	if id == Meta {
		lo := []byte{byte(storage.KindMeta)}
		return []keyRange{{lo, storage.PrefixEnd(nil, lo)}}
	}
	for _, k := range []storage.Kind{storage.KindCurrent, storage.KindHistory, storage.KindIntent, storage.KindChunk} {
		for sp := op.SpaceKey; int(sp) < spaces; sp++ {
			lo, hi := storage.Bounds(k, sp, s.From, s.To)
			all = append(all, keyRange{lo, hi})
		}
	}
	lo, hi := storage.Bounds(storage.KindRecord, 0, s.From, s.To)
	return append(all, keyRange{lo, hi})
}

// Snapshot writes the partition's state, as of one applied index, which it returns.
func (m *Machine) Snapshot(w io.Writer) (index uint64, err error) {
	snap := m.store.Snapshot()
	defer snap.Close()
	s, ok, err := loadState(snap, m.id)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("fsm: partition %d has no state", m.id)
	}
	out := newStreamWriter(w)
	out.raw([]byte(snapshotMagic))
	out.bytes(s.encode())
	for _, r := range ranges(m.id, &s) {
		err := snap.Scan(r.lo, r.hi, false, false, func(key, value []byte) (bool, error) {
			out.bytes(key)
			out.bytes(value)
			return out.err == nil, out.err
		})
		if err != nil {
			return 0, err
		}
	}
	out.bytes(nil)
	return s.Index, out.end()
}

// Restore replaces the partition's state by a snapshot. When it fails in the middle the range is not to be trusted and Restore
// is to be run again, from the beginning, before anything else; the caller keeps the stream until it has succeeded.
func (m *Machine) Restore(r io.Reader, index uint64) error {
	if at := m.Applied(); index < at {
		return fmt.Errorf("fsm: a snapshot at index %d would take partition %d back from %d", index, m.id, at)
	}
	in := newStreamReader(r)
	if magic := in.raw(len(snapshotMagic)); in.err == nil && string(magic) != snapshotMagic {
		return ErrSnapshot
	}
	state := in.bytes()
	if in.err != nil {
		return in.err
	}
	s, err := decodeState(state)
	if err != nil {
		return err
	}
	own := m.State()
	for _, of := range []*State{&own, &s} {
		if err := m.clear(of); err != nil {
			return err
		}
	}
	if err := m.fill(in); err != nil {
		return err
	}
	b := m.store.NewBatch()
	defer b.Discard()
	saveState(b, m.id, &s)
	if err := b.Commit(); err != nil {
		return err
	}
	m.state.Store(&s)
	return nil
}

// clear deletes everything that is stored of a range, some keys at a time.
func (m *Machine) clear(s *State) error {
	for _, r := range ranges(m.id, s) {
		for more := true; more; {
			var err error
			if more, err = m.clearSome(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Machine) clearSome(r keyRange) (more bool, err error) {
	b := m.store.NewBatch()
	defer b.Discard()
	snap := m.store.Snapshot()
	defer snap.Close()
	err = snap.Scan(r.lo, r.hi, false, false, func(key, value []byte) (bool, error) {
		if more = b.Len() >= batchKeysMax; more {
			return false, nil
		}
		if due, n, err := mvcc.DueOf(key, value); err != nil {
			return false, err
		} else if due > 0 {
			b.Delete(storage.AppendDue(nil, due, n))
		}
		b.Delete(clip(key))
		return true, nil
	})
	if err != nil {
		return false, err
	}
	return more, b.Commit()
}

// fill writes what a stream holds, some keys at a time, until its end.
func (m *Machine) fill(in *streamReader) error {
	b := m.store.NewBatch()
	defer func() { b.Discard() }()
	for {
		key := in.bytes()
		if len(key) == 0 {
			if err := in.end(); err != nil {
				return err
			}
			return b.Commit()
		}
		value := in.bytes()
		if in.err != nil {
			return in.err
		}
		due, n, err := mvcc.DueOf(key, value)
		if err != nil {
			return err
		}
		if due > 0 {
			b.Set(storage.AppendDue(nil, due, n), []byte{stateFormat})
		}
		b.Set(key, value)
		if b.Bytes() >= batchBytesMax || b.Len() >= batchKeysMax {
			if err := b.Commit(); err != nil {
				return err
			}
			b = m.store.NewBatch()
		}
	}
}

type streamWriter struct {
	w   *bufio.Writer
	sum hash.Hash32
	err error
}

func newStreamWriter(w io.Writer) *streamWriter {
	return &streamWriter{w: bufio.NewWriterSize(w, 64<<10), sum: crc32.New(castagnoli)}
}

func (s *streamWriter) raw(b []byte) {
	if s.err == nil {
		s.sum.Write(b)
		_, s.err = s.w.Write(b)
	}
}

func (s *streamWriter) bytes(b []byte) {
	var n [binary.MaxVarintLen64]byte
	s.raw(n[:binary.PutUvarint(n[:], uint64(len(b)))])
	s.raw(b)
}

func (s *streamWriter) end() error {
	if s.err == nil {
		_, s.err = s.w.Write(binary.BigEndian.AppendUint32(nil, s.sum.Sum32()))
	}
	if s.err == nil {
		s.err = s.w.Flush()
	}
	return s.err
}

// fieldBytesMax bounds a key or a value in a stream: a value's chunk, or a record of a transaction.
const fieldBytesMax = 16 << 20

type streamReader struct {
	r   *bufio.Reader
	sum hash.Hash32
	err error
}

func newStreamReader(r io.Reader) *streamReader {
	return &streamReader{r: bufio.NewReaderSize(r, 64<<10), sum: crc32.New(castagnoli)}
}

// ReadByte is for reading lengths.
func (s *streamReader) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		s.sum.Write([]byte{c})
	}
	return c, err
}

func (s *streamReader) raw(n int) []byte {
	if s.err != nil {
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s.r, b); err != nil {
		s.err = fmt.Errorf("%w: %w", ErrSnapshot, err)
		return nil
	}
	s.sum.Write(b)
	return b
}

func (s *streamReader) bytes() []byte {
	if s.err != nil {
		return nil
	}
	n, err := binary.ReadUvarint(s)
	if err != nil || n > fieldBytesMax {
		s.err = ErrSnapshot
		return nil
	}
	return s.raw(int(n))
}

func (s *streamReader) end() error {
	if s.err != nil {
		return s.err
	}
	var sum [4]byte
	if _, err := io.ReadFull(s.r, sum[:]); err != nil || binary.BigEndian.Uint32(sum[:]) != s.sum.Sum32() {
		return ErrSnapshot
	}
	return nil
}
