package peer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// The kinds of frames (doc.go).
const (
	kindRequest byte = iota + 1
	kindResponse
	kindCancel
	kindData
	kindEnd
	kindAbort
	kindAlive
)

const (
	lengthBytes   = 4
	headerBytes   = lengthBytes + 1 + 8
	sumBytes      = 4
	overheadBytes = headerBytes + sumBytes
	deadlineBytes = 4 // in front of a request
	statusBytes   = 1 // in front of a response

	stepBytes = 64 << 10 // memory that a frame gets before its bytes have come
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type frame struct {
	kind    byte
	id      uint64
	payload []byte
}

// appendFrame appends a frame whose payload is prefix and body.
func appendFrame(b []byte, kind byte, id uint64, prefix, body []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(overheadBytes-lengthBytes+len(prefix)+len(body)))
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, id)
	b = append(b, prefix...)
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// frameReader reads frames and checks them. A frame claims memory as its bytes come, not as it declares.
type frameReader struct {
	src *bufio.Reader
	max int // bytes of a frame
}

// next returns the next frame. Its payload is the caller's: buf if it has the room, else new. io.EOF means that the stream ended
// between frames; an error that is errMalformed, that the bytes make no sense.
func (r *frameReader) next(buf []byte) (frame, error) {
	header, err := r.src.Peek(headerBytes)
	if err != nil {
		if err == io.EOF && len(header) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	f := frame{kind: header[lengthBytes], id: binary.LittleEndian.Uint64(header[lengthBytes+1:])}
	length := int64(binary.LittleEndian.Uint32(header)) + lengthBytes
	if length < overheadBytes || length > int64(r.max) {
		return frame{}, fmt.Errorf("%w: %d bytes, wanted are %d to %d", errMalformed, length, overheadBytes, r.max)
	}
	sum := crc32.Checksum(header, castagnoli)
	_, _ = r.src.Discard(headerBytes) // what was peeked
	if f.payload, err = readSteps(r.src, buf, int(length)-overheadBytes); err != nil {
		return frame{}, err
	}
	want, err := r.src.Peek(sumBytes)
	if err != nil {
		return frame{}, noEOF(err)
	}
	if crc32.Update(sum, castagnoli, f.payload) != binary.LittleEndian.Uint32(want) {
		return frame{}, fmt.Errorf("%w: wrong checksum", errMalformed)
	}
	_, _ = r.src.Discard(sumBytes)
	return f, nil
}

// readSteps reads n bytes, into buf if they fit.
func readSteps(src io.Reader, buf []byte, n int) ([]byte, error) {
	if n > cap(buf) {
		buf = make([]byte, min(n, stepBytes))
	}
	buf = buf[:min(n, cap(buf))]
	if err := readWhole(src, buf); err != nil {
		return nil, err
	}
	for len(buf) < n {
		have := len(buf)
		grown := make([]byte, min(n, 2*have))
		copy(grown, buf)
		buf = grown
		if err := readWhole(src, buf[have:]); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func readWhole(src io.Reader, p []byte) error {
	_, err := io.ReadFull(src, p)
	return noEOF(err)
}

// noEOF is for the middle of something, where the end is an error. Nor may one who looks for io.EOF in a chain of errors find it.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
