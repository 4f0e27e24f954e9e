package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"kahuna/op"
	"kahuna/storage"
)

const (
	recordFormat = 1
	// inlineBytesMax is the largest value that stands in the record itself. Larger ones stand in chunks of their own, so that
	// replacing one copies only its head to the history, and an entry of many small writes stays one small batch.
	inlineBytesMax = 1 << 10
	chunkBytes     = 512 << 10
	// RowBytes is more than what a stored key and value take beside the name and the value in them, Badger's own part included.
	RowBytes = 128
)

const (
	flagDeleted = 1 << iota
	flagNoRev
	flagIntent
	flagChunks
	flagExpires
	flagLost // a NOREV version in the history: its value is gone
)

// ErrDamaged says that a stored record can't be read. It is a fault of the store, never an answer.
var ErrDamaged = errors.New("mvcc: a stored record is damaged")

// Reader reads stored bytes: a storage.Batch or a storage.Snapshot.
type Reader interface {
	Get(key []byte) (value []byte, ok bool, err error)
	Scan(lo, hi []byte, reverse, keysOnly bool, fn func(key, value []byte) (more bool, err error)) error
	// Walk is a Scan forward that goes straight on to the first key at or after to, where fn returns one.
	Walk(lo, hi []byte, fn func(key, value []byte) (to []byte, more bool, err error)) error
}

// stored is a record as it stands in the store. A name without any version but with an intent has one with TS 0.
type stored struct {
	Record
	intent bool
	lost   bool
	chunks uint64 // length of a value that stands in chunks, whose keys bear TS
}

func (s *stored) encode(dst []byte) []byte {
	var flags byte
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	set(s.Deleted, flagDeleted)
	set(s.NoRev, flagNoRev)
	set(s.intent, flagIntent)
	set(s.chunks > 0, flagChunks)
	set(s.ExpireAt > 0, flagExpires)
	set(s.lost, flagLost)
	dst = append(dst, recordFormat, flags, byte(s.Type))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.TS))
	dst = binary.AppendUvarint(dst, s.Rev)
	if s.ExpireAt > 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.ExpireAt))
	}
	if s.chunks > 0 {
		return binary.AppendUvarint(dst, s.chunks)
	}
	return append(dst, s.Value...)
}

func (s *stored) encodedBytes() int { return 32 + len(s.Value) }

// decode reads a record; its Value points into b, or is left nil when it stands in chunks.
func decode(b []byte) (s stored, err error) {
	if len(b) < 12 || b[0] != recordFormat {
		return s, ErrDamaged
	}
	flags := b[1]
	s.Type = Type(b[2])
	s.Deleted, s.NoRev = flags&flagDeleted != 0, flags&flagNoRev != 0
	s.intent, s.lost = flags&flagIntent != 0, flags&flagLost != 0
	s.TS = op.Timestamp(binary.BigEndian.Uint64(b[3:]))
	b = b[11:]
	rev, n := binary.Uvarint(b)
	if n <= 0 {
		return s, ErrDamaged
	}
	s.Rev, b = rev, b[n:]
	if flags&flagExpires != 0 {
		if len(b) < 8 {
			return s, ErrDamaged
		}
		s.ExpireAt, b = op.Timestamp(binary.BigEndian.Uint64(b)), b[8:]
	}
	if flags&flagChunks == 0 {
		s.Value = b
		return s, nil
	}
	if s.chunks, n = binary.Uvarint(b); n <= 0 || n != len(b) || s.chunks == 0 {
		return s, ErrDamaged
	}
	return s, nil
}

func chunkCount(bytes uint64) uint16 { return uint16((bytes + chunkBytes - 1) / chunkBytes) }

// fill reads the value of a version that stands in chunks.
func (s *stored) fill(r Reader, n op.Name) (err error) {
	if s.chunks > 0 && s.Value == nil {
		s.Value, err = readChunks(r, n, s.TS, s.chunks)
	}
	return err
}

// readChunks puts a value of some length together from the chunks whose keys bear ts.
func readChunks(r Reader, n op.Name, ts op.Timestamp, length uint64) ([]byte, error) {
	var value []byte
	for i := range chunkCount(length) {
		b, ok, err := r.Get(storage.AppendChunk(nil, n, ts, i))
		if err != nil {
			return nil, err
		}
		if !ok || len(b) == 0 || b[0] != recordFormat {
			return nil, fmt.Errorf("%w: chunk %d of a value is missing", ErrDamaged, i)
		}
		if i == 0 {
			value = make([]byte, 0, min(length, uint64(chunkCount(length))*chunkBytes))
		}
		value = append(value, b[1:]...)
	}
	if uint64(len(value)) != length {
		return nil, fmt.Errorf("%w: a value has %d bytes instead of %d", ErrDamaged, len(value), length)
	}
	return value, nil
}

// load reads the current record of a name, without the value if that stands in chunks.
func load(r Reader, n op.Name) (s stored, ok bool, err error) {
	b, ok, err := r.Get(storage.AppendCurrent(nil, n))
	if err != nil || !ok {
		return stored{}, false, err
	}
	s, err = decode(b)
	return s, true, err
}

func (s *stored) liveAt(t op.Timestamp) bool {
	return s.TS > 0 && !s.Deleted && (s.ExpireAt == 0 || s.ExpireAt > t)
}
