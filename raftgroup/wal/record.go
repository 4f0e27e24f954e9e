package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/hashicorp/raft"
)

// kind of a record. The numbers are stored: append only.
type kind byte

const (
	kindEntry        kind = 1 // a raft log entry, appended
	kindCopy         kind = 2 // an entry that is in the log already, copied by collection
	kindDeletePrefix kind = 3 // deletes all entries at or below an index
	kindDeleteSuffix kind = 4 // deletes all entries at or above an index
	kindSet          kind = 5 // a key of the stable store
	kindRemove       kind = 6 // forgets the group: its entries and its keys
)

// urgent kinds may use the reserve of the last segment on a full disk: raft cannot go on without its term and vote, and
// deletions make room.
func (k kind) urgent() bool { return k != kindEntry && k != kindCopy }

const (
	recordHeaderBytes = 13 // checksum 4, payload length 4, kind 1, group 4
	entryHeaderBytes  = 33 // index 8, term 8, type 1, appended at 8 s + 4 ns, data length 4; then data, then extensions
)

type record struct {
	kind    kind
	group   uint32
	payload []byte
}

func (r record) size() int { return recordHeaderBytes + len(r.payload) }

// decodeRecord reads the record at the start of b. Its payload is a part of b.
func decodeRecord(b []byte, verify bool) (record, error) {
	if len(b) < recordHeaderBytes {
		return record{}, errors.New("record header cut off")
	}
	n := uint64(le.Uint32(b[4:]))
	if n > uint64(len(b)-recordHeaderBytes) {
		return record{}, errors.New("record cut off")
	}
	end := recordHeaderBytes + int(n)
	if verify && le.Uint32(b) != crc32.Checksum(b[4:end], castagnoli) {
		return record{}, errors.New("bad record checksum")
	}
	r := record{kind: kind(b[8]), group: le.Uint32(b[9:]), payload: b[recordHeaderBytes:end]}
	if r.kind < kindEntry || r.kind > kindRemove {
		return record{}, fmt.Errorf("unknown record kind %d", r.kind)
	}
	return r, nil
}

// openRecord appends the header of a record; what is appended until closeRecord is its payload.
func openRecord(b []byte, k kind, group uint32) []byte {
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(k))
	return le.AppendUint32(b, group)
}

func closeRecord(b []byte, start int) {
	le.PutUint32(b[start+4:], uint32(len(b)-start-recordHeaderBytes))
	le.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
}

// entryBytes is the size of the record of an entry.
func entryBytes(e *raft.Log) int {
	return recordHeaderBytes + entryHeaderBytes + len(e.Data) + len(e.Extensions)
}

func appendEntry(b []byte, k kind, group uint32, e *raft.Log) []byte {
	start := len(b)
	b = openRecord(b, k, group)
	b = le.AppendUint64(b, e.Index)
	b = le.AppendUint64(b, e.Term)
	b = append(b, byte(e.Type))
	b = le.AppendUint64(b, uint64(e.AppendedAt.Unix()))
	b = le.AppendUint32(b, uint32(e.AppendedAt.Nanosecond()))
	b = le.AppendUint32(b, uint32(len(e.Data)))
	b = append(b, e.Data...)
	b = append(b, e.Extensions...)
	closeRecord(b, start)
	return b
}

// decodeEntry reads the payload of an entry or a copy. Data and Extensions are parts of p.
func decodeEntry(p []byte, e *raft.Log) error {
	if len(p) < entryHeaderBytes {
		return errors.New("entry cut off")
	}
	n := uint64(le.Uint32(p[29:]))
	if n > uint64(len(p)-entryHeaderBytes) {
		return errors.New("entry data cut off")
	}
	data, ext := p[entryHeaderBytes:entryHeaderBytes+int(n):entryHeaderBytes+int(n)], p[entryHeaderBytes+int(n):]
	*e = raft.Log{Index: le.Uint64(p), Term: le.Uint64(p[8:]), Type: raft.LogType(p[16])}
	if len(data) > 0 {
		e.Data = data
	}
	if len(ext) > 0 {
		e.Extensions = ext
	}
	if t := time.Unix(int64(le.Uint64(p[17:])), int64(le.Uint32(p[25:]))); !t.IsZero() {
		e.AppendedAt = t.UTC()
	}
	if e.Index == 0 || e.Index == math.MaxUint64 {
		return fmt.Errorf("entry with index %d", e.Index)
	}
	return nil
}

func appendBound(b []byte, k kind, group uint32, index uint64) []byte {
	start := len(b)
	b = openRecord(b, k, group)
	b = le.AppendUint64(b, index)
	closeRecord(b, start)
	return b
}

func decodeBound(p []byte) (uint64, error) {
	if len(p) != 8 {
		return 0, fmt.Errorf("deletion with %d bytes", len(p))
	}
	return le.Uint64(p), nil
}

func appendSet(b []byte, group uint32, key string, val []byte) []byte {
	start := len(b)
	b = openRecord(b, kindSet, group)
	b = le.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	b = append(b, val...)
	closeRecord(b, start)
	return b
}

// decodeSet returns the value as a part of p.
func decodeSet(p []byte) (key string, val []byte, err error) {
	if len(p) < 2 || int(le.Uint16(p)) > len(p)-2 {
		return "", nil, errors.New("key cut off")
	}
	n := 2 + int(le.Uint16(p))
	return string(p[2:n]), p[n:], nil
}

func appendRemove(b []byte, group uint32) []byte {
	start := len(b)
	b = openRecord(b, kindRemove, group)
	closeRecord(b, start)
	return b
}
