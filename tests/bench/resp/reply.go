package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Kinds of replies: the first byte on the wire. A nil bulk string or array has kind Nil.
const (
	Simple  = '+'
	Error   = '-'
	Integer = ':'
	Bulk    = '$'
	Array   = '*'
	Nil     = '_'
)

const (
	bulkBytesMax     = 64 << 20
	arrayElementsMax = 1 << 20
)

// ErrProtocol means that what came is not RESP2, or beyond the limits of this client; the connection is of no more use.
var ErrProtocol = errors.New("resp: malformed reply")

// Reply is one reply. Of an array only the header is read: its Int elements follow as replies of their own.
type Reply struct {
	Kind  byte
	Int   int64
	Bytes []byte
}

// IsOK tells whether the reply is the simple string OK.
func (r *Reply) IsOK() bool { return r.Is("OK") }

// Is tells whether the reply is the simple string s.
func (r *Reply) Is(s string) bool { return r.Kind == Simple && string(r.Bytes) == s }

// IsInt tells whether the reply is the integer n.
func (r *Reply) IsInt(n int64) bool { return r.Kind == Integer && r.Int == n }

// String describes the reply for an error message.
func (r *Reply) String() string {
	switch r.Kind {
	case Integer:
		return fmt.Sprintf("(integer) %d", r.Int)
	case Array:
		return fmt.Sprintf("(array of %d)", r.Int)
	case Nil:
		return "(nil)"
	default:
		return fmt.Sprintf("%c%.200q", r.Kind, r.Bytes)
	}
}

// Reader reads replies from a stream.
type Reader struct {
	in   *bufio.Reader
	bulk []byte
}

// Read reads the next reply into r; r.Bytes is valid until the next Read.
func (d *Reader) Read(r *Reply) error {
	line, err := d.line()
	if err != nil {
		return err
	}
	*r = Reply{Kind: line[0]}
	switch r.Kind {
	case Simple, Error:
		r.Bytes = line[1:]
		return nil
	case Integer:
		r.Int, err = parseInt(line[1:])
		return err
	case Bulk:
		return d.readBulk(r, line[1:])
	case Array:
		return readArray(r, line[1:])
	}
	return fmt.Errorf("%w: type %q", ErrProtocol, line[0])
}

// line returns the next line without its CR LF, at least one byte long.
func (d *Reader) line() ([]byte, error) {
	line, err := d.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: line too long", ErrProtocol)
	}
	if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("%w: line %q", ErrProtocol, line)
	}
	return line[:len(line)-2], nil
}

func (d *Reader) readBulk(r *Reply, size []byte) error {
	n, err := length(size, bulkBytesMax)
	if err != nil {
		return err
	}
	if n < 0 {
		r.Kind = Nil
		return nil
	}
	if cap(d.bulk) < n+2 {
		d.bulk = make([]byte, n+2)
	}
	buf := d.bulk[:n+2]
	if _, err := io.ReadFull(d.in, buf); err != nil {
		return err
	}
	if buf[n] != '\r' || buf[n+1] != '\n' {
		return fmt.Errorf("%w: bulk string without its end", ErrProtocol)
	}
	r.Bytes = buf[:n]
	return nil
}

func readArray(r *Reply, size []byte) error {
	n, err := length(size, arrayElementsMax)
	if err != nil {
		return err
	}
	if n < 0 {
		r.Kind = Nil
		return nil
	}
	r.Int = int64(n)
	return nil
}

// length parses a size: -1 (nil) up to limit.
func length(b []byte, limit int64) (int, error) {
	n, err := parseInt(b)
	if err != nil {
		return 0, err
	}
	if n < -1 || n > limit {
		return 0, fmt.Errorf("%w: length %d", ErrProtocol, n)
	}
	return int(n), nil
}

// parseInt parses a decimal integer of at most 18 digits without converting it to a string first.
func parseInt(b []byte) (int64, error) {
	digits := b
	if len(b) > 0 && b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, fmt.Errorf("%w: integer %q", ErrProtocol, b)
	}
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w: integer %q", ErrProtocol, b)
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) != len(b) {
		n = -n
	}
	return n, nil
}
