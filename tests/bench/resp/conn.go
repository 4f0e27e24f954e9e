// Package resp is a minimal RESP2 client for load generation: one goroutine per connection, requests appended to a
// buffer and sent in one write, replies read in order, without an allocation per operation.
package resp

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	readBufferBytes = 16 << 10
	dialTimeout     = 5 * time.Second
)

// Conn is one connection. Everything but Close belongs to one goroutine; Close may be called from any, and makes a
// waiting Read return an error.
type Conn struct {
	out    []byte
	net    net.Conn
	reader *Reader
}

// Dial connects to a TCP address.
func Dial(addr string) (*Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	return &Conn{net: nc, reader: NewReader(nc)}, nil
}

// Append adds one command to what the next Flush sends. The arguments are copied.
func (c *Conn) Append(args ...[]byte) { c.out = AppendCommand(c.out, args...) }

// Flush sends all appended commands in one write.
func (c *Conn) Flush() error {
	_, err := c.net.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Read reads the next reply into r. r.Bytes is valid until the next Read.
func (c *Conn) Read(r *Reply) error { return c.reader.Read(r) }

// Call sends one command and reads its reply, for set-up outside the measured path.
func (c *Conn) Call(r *Reply, args ...string) error {
	parts := make([][]byte, len(args))
	for i, a := range args {
		parts[i] = []byte(a)
	}
	c.Append(parts...)
	if err := c.Flush(); err != nil {
		return err
	}
	return c.Read(r)
}

// SetDeadline bounds all later reads and writes.
func (c *Conn) SetDeadline(t time.Time) error { return c.net.SetDeadline(t) }

// Close closes the connection.
func (c *Conn) Close() error { return c.net.Close() }

// AppendCommand appends the RESP form of a command to dst.
func AppendCommand(dst []byte, args ...[]byte) []byte {
	dst = appendHeader(dst, '*', len(args))
	for _, a := range args {
		dst = appendHeader(dst, '$', len(a))
		dst = append(dst, a...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

func appendHeader(dst []byte, kind byte, n int) []byte {
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '\r', '\n')
}

// NewReader returns a Reader of replies on r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, readBufferBytes)}
}
