package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	formatVersion      = 1
	segmentHeaderBytes = 64
	frameHeaderBytes   = 36
	markBytes          = 64
)

var (
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	segmentMagic = [8]byte{'R', 'A', 'F', 'T', 'S', 'E', 'G', 0xa1}
	markMagic    = [8]byte{'R', 'A', 'F', 'T', 'M', 'R', 'K', 0xa2}
	frameMagic   = [4]byte{0xf7, 'B', 'T', 0xa3}

	le = binary.LittleEndian
)

// sealed is the shape that the segment header and the mark share: magic 8, version 4, ..., checksum of all before it in the
// last 4 of 64 bytes. Magic, version and checksum keep their places in every later format.
func seal(b []byte, magic [8]byte) {
	copy(b, magic[:])
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

func unseal(b []byte, magic [8]byte) error {
	switch {
	case len(b) < 64:
		return errors.New("header cut off")
	case !bytes.Equal(b[:8], magic[:]):
		return errors.New("bad magic")
	case le.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli):
		return errors.New("bad header checksum")
	}
	return checkVersion(le.Uint32(b[8:]))
}

func checkVersion(v uint32) error {
	if v > formatVersion {
		return fmt.Errorf("%w: version %d, this is %d", ErrNewerFormat, v, formatVersion)
	}
	if v == 0 {
		return errors.New("version 0")
	}
	return nil
}

// segmentHeader begins a segment.
type segmentHeader struct {
	number uint64
	salt   uint64 // random, seeds the checksums of its frames
	size   uint64 // bytes of the file; a shorter file is damaged
}

func (h segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderBytes)
	le.PutUint64(b[16:], h.number)
	le.PutUint64(b[24:], h.salt)
	le.PutUint64(b[32:], h.size)
	seal(b, segmentMagic)
	return b
}

func decodeSegmentHeader(b []byte) (segmentHeader, error) {
	if err := unseal(b, segmentMagic); err != nil {
		return segmentHeader{}, err
	}
	return segmentHeader{number: le.Uint64(b[16:]), salt: le.Uint64(b[24:]), size: le.Uint64(b[32:])}, nil
}

// seed is where the checksums of the segment's frames start, so that a frame is valid in its segment only.
func (h segmentHeader) seed() uint32 {
	var b [16]byte
	le.PutUint64(b[:], h.number)
	le.PutUint64(b[8:], h.salt)
	return crc32.Checksum(b[:], castagnoli)
}

// frame is the header of a batch.
type frame struct {
	seq     uint64 // increases, is never used twice
	prev    uint64 // sequence of the batch before
	body    uint32 // bytes of records that follow
	records uint32
}

// put encodes h into the first frameHeaderBytes of b.
func (h frame) put(b []byte, seed uint32) {
	copy(b, frameMagic[:])
	le.PutUint32(b[4:], formatVersion)
	le.PutUint64(b[8:], h.seq)
	le.PutUint64(b[16:], h.prev)
	le.PutUint32(b[24:], h.body)
	le.PutUint32(b[28:], h.records)
	le.PutUint32(b[32:], crc32.Update(seed, castagnoli, b[:32]))
}

// decodeFrame reads the frame header at the start of b. The body is not looked at.
func decodeFrame(b []byte, seed uint32) (frame, error) {
	switch {
	case len(b) < frameHeaderBytes:
		return frame{}, errors.New("frame header cut off")
	case !bytes.Equal(b[:4], frameMagic[:]):
		return frame{}, errors.New("bad frame magic")
	case le.Uint32(b[32:]) != crc32.Update(seed, castagnoli, b[:32]):
		return frame{}, errors.New("bad frame header checksum")
	}
	h := frame{seq: le.Uint64(b[8:]), prev: le.Uint64(b[16:]), body: le.Uint32(b[24:]), records: le.Uint32(b[28:])}
	return h, checkVersion(le.Uint32(b[4:]))
}

// decodeBody calls visit for each record of a frame's body, with its offset in the body, after all checksums have been
// verified. A body that is not exactly h.records valid records is an error, and visit is not called.
func decodeBody(h frame, body []byte, visit func(off int, r record) error) error {
	if uint64(h.body) > uint64(len(body)) {
		return errors.New("body cut off")
	}
	body = body[:h.body]
	if err := walk(h, body, true, nil); err != nil {
		return err
	}
	return walk(h, body, false, visit)
}

func walk(h frame, body []byte, verify bool, visit func(off int, r record) error) error {
	off, n := 0, uint32(0)
	for ; off < len(body); n++ {
		r, err := decodeRecord(body[off:], verify)
		if err != nil {
			return err
		}
		if visit != nil {
			if err := visit(off, r); err != nil {
				return err
			}
		}
		off += r.size()
	}
	if n != h.records {
		return fmt.Errorf("%d records where there should be %d", n, h.records)
	}
	return nil
}
