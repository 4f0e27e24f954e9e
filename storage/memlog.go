package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"
)

// The log of a memtable, a *.mem file, as Badger writes it (memtable.go: logFile.bootstrap, encodeEntry, iterate;
// structs.go: header):
//
//	[key id 8][iv 12] entry... zeros
//	entry: [meta 1][user meta 1][key length, value length, expiry: uvarints][key][value][crc32c of all before, big endian 4]
//
// Keys end with ^version (8 bytes). The entries of a transaction have memTxn set and one version; an entry with memFinTxn
// ends it, whose value is the version in decimal.
const (
	memHeaderBytes         = 20
	memEntryHeaderMax      = 22
	memCRCBytes            = 4
	memTxn            byte = 1 << 6
	memFinTxn         byte = 1 << 7
	// memRecordMax is the longest entry there can be.
	memRecordMax = memEntryHeaderMax + KeyBytesMax + 8 + valueThresholdMax + memCRCBytes
	memReadBytes = 256 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// memLog is how far the log of one memtable has been read and found good.
type memLog struct {
	end   int64  // bytes up to the end of the last complete transaction
	first uint64 // version of the first transaction; 0 if there is none
}

// memStop says where reading ended.
type memStop struct {
	at     int64 // first byte that is not part of an entry
	inTxn  bool  // entries of a transaction without its end come before it
	extent int64 // how many bytes the broken entry there may take up; 0: there is none, only zeros or the end
}

// advance reads entries from where the last call ended, up to the first thing that is none or to limit. The file may be
// written to meanwhile. Only failing reads are errors.
func (m *memLog) advance(r io.ReaderAt, limit int64) (memStop, error) {
	w := window{r: r, limit: limit}
	if m.end == 0 {
		m.end = memHeaderBytes
	}
	at, version := m.end, uint64(0)
	for {
		rec, extent, err := w.record(at)
		if err != nil || rec == nil {
			return memStop{at: at, inTxn: version != 0, extent: extent}, err
		}
		stop := memStop{at: at, inTxn: version != 0, extent: rec.size}
		at += rec.size
		switch {
		case rec.meta&memTxn != 0:
			if version == 0 {
				version = rec.version()
			} else if version != rec.version() {
				return stop, nil
			}
			continue
		case rec.meta&memFinTxn != 0:
			if v, err := strconv.ParseUint(string(rec.value), 10, 64); err != nil || v != version {
				return stop, nil
			}
		default: // an entry outside of transactions; Badger writes none in ordinary mode
			if version != 0 {
				return stop, nil
			}
			version = rec.version()
		}
		if m.first == 0 {
			m.first = version
		}
		m.end, version = at, 0
	}
}

// memRecord is one entry. Its slices are valid until the next one is read.
type memRecord struct {
	meta       byte
	key, value []byte
	size       int64
}

func (r *memRecord) version() uint64 {
	if len(r.key) < 8 {
		return math.MaxUint64
	}
	return math.MaxUint64 - binary.BigEndian.Uint64(r.key[len(r.key)-8:])
}

// window reads a file in large pieces.
type window struct {
	r     io.ReaderAt
	limit int64 // nothing at or after this is read
	buf   []byte
	at    int64 // file position of buf[0]
	rec   memRecord
}

// bytes is n bytes at a position, or fewer at the end.
func (w *window) bytes(at int64, n int) ([]byte, error) {
	if have := w.at + int64(len(w.buf)); at < w.at || at+int64(n) > have {
		if err := w.load(at, n); err != nil {
			return nil, err
		}
	}
	b := w.buf[at-w.at:]
	return b[:min(n, len(b))], nil
}

func (w *window) load(at int64, n int) error {
	size := min(int64(max(n, memReadBytes)), max(0, w.limit-at))
	if int64(cap(w.buf)) < size {
		w.buf = make([]byte, size)
	}
	got, err := w.r.ReadAt(w.buf[:size], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	w.buf, w.at = w.buf[:got], at
	return nil
}

// record reads the entry at a position; nil when there is no good one, and then how far a broken one may reach.
func (w *window) record(at int64) (*memRecord, int64, error) {
	head, err := w.bytes(at, memEntryHeaderMax)
	if err != nil || len(head) < 3 {
		return nil, 0, err
	}
	klen, vlen, hlen := memLengths(head)
	if hlen == 0 {
		return nil, memRecordMax, nil
	}
	if klen == 0 {
		return nil, w.emptyExtent(head), nil
	}
	size := hlen + klen + vlen + memCRCBytes
	b, err := w.bytes(at, size)
	if err != nil || len(b) < size {
		return nil, int64(size), err
	}
	body := b[:size-memCRCBytes]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[size-memCRCBytes:]) {
		return nil, int64(size), nil
	}
	w.rec = memRecord{meta: b[0], key: b[hlen : hlen+klen], value: b[hlen+klen : size-memCRCBytes], size: int64(size)}
	return &w.rec, 0, nil
}

// emptyExtent tells the zeros after the last entry from an entry of which the start was not written yet.
func (w *window) emptyExtent(head []byte) int64 {
	if len(bytes.Trim(head, "\x00")) == 0 {
		return 0
	}
	return memRecordMax
}

// memLengths decodes an entry's header; hlen is 0 when it cannot be one.
func memLengths(head []byte) (klen, vlen, hlen int) {
	at := 2
	var nums [3]uint64
	for i := range nums {
		v, n := binary.Uvarint(head[at:])
		if n <= 0 {
			return 0, 0, 0
		}
		nums[i], at = v, at+n
	}
	if nums[0] > KeyBytesMax+8 || nums[1] > valueThresholdMax {
		return 0, 0, 0
	}
	return int(nums[0]), int(nums[1]), at
}

// lastData is the position after the last byte at or after from that is not zero; from when there is none.
func lastData(r io.ReaderAt, from, size int64) (int64, error) {
	end, buf := from, make([]byte, memReadBytes)
	for at := from; at < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if n == 0 {
			return end, nil
		}
		if data := bytes.TrimRight(buf[:n], "\x00"); len(data) > 0 {
			end = at + int64(len(data))
		}
		at += int64(n)
	}
	return end, nil
}

// memName is the name of the log of a memtable (DB.mtFilePath).
func memName(id uint64) string { return fmt.Sprintf("%05d.mem", id) }
