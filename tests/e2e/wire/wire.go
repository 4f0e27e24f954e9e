// Package wire is a small client of the Redis protocol for tests: it sends exactly what it is told to, repeats nothing by
// itself, and shows a reply as it came, so that an operation's end is known as well as it can be.
package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Conn is one connection. It belongs to one goroutine; Close may be called from any.
type Conn struct {
	net     net.Conn
	in      *bufio.Reader
	timeout time.Duration
}

// Dial connects to addr. Each Send and each Receive fails after timeout.
func Dial(addr string, timeout time.Duration) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	return &Conn{net: c, in: bufio.NewReaderSize(c, 16<<10), timeout: timeout}, nil
}

// Patient makes each Send and Receive fail after another timeout than connecting did.
func (c *Conn) Patient(timeout time.Duration) *Conn {
	c.timeout = timeout
	return c
}

// Close closes the connection.
func (c *Conn) Close() error { return c.net.Close() }

// Send sends commands in one write. After an error any number of them may have been taken.
func (c *Conn) Send(commands ...[]string) error {
	var b []byte
	for _, args := range commands {
		b = append(b, Encode(args...)...)
	}
	return c.Raw(b)
}

// Raw sends bytes as they are.
func (c *Conn) Raw(b []byte) error {
	if err := c.net.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := c.net.Write(b)
	return err
}

// Receive reads one reply.
func (c *Conn) Receive() (*Reply, error) {
	if err := c.net.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return nil, err
	}
	return read(c.in, 0)
}

// Do sends one command and reads its reply. A reply that is an error is no error of Do.
func (c *Conn) Do(args ...string) (*Reply, error) {
	if err := c.Send(args); err != nil {
		return nil, err
	}
	return c.Receive()
}

// Encode is a command as a client sends it.
func Encode(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

// Reply is one reply of RESP2 or RESP3.
type Reply struct {
	Kind  byte // its first byte on the wire; '_' for every nil
	Text  string
	Int   int64
	Parts []*Reply // of a map: key, value, key, ...
}

// Err is the text of an error reply, else empty.
func (r *Reply) Err() string {
	if r.Kind == '-' || r.Kind == '!' {
		return r.Text
	}
	return ""
}

// Nil tells whether it is one of the nils.
func (r *Reply) Nil() bool { return r.Kind == '_' }

// Field gives a value of a map, also of one that came as a flat array; nil when it is not there.
func (r *Reply) Field(name string) *Reply {
	for i := 0; i+1 < len(r.Parts); i += 2 {
		if r.Parts[i].Text == name {
			return r.Parts[i+1]
		}
	}
	return nil
}

func (r *Reply) String() string {
	switch r.Kind {
	case ':':
		return strconv.FormatInt(r.Int, 10)
	case '_':
		return "(nil)"
	case '*', '%', '~', '>':
		var parts []string
		for _, p := range r.Parts {
			parts = append(parts, p.String())
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprintf("%c%.120q", r.Kind, r.Text)
}

// Limits on what a server may answer a test.
const (
	bulkBytesMax = 512 << 20
	depthMax     = 16
)

func read(in *bufio.Reader, depth int) (*Reply, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || text == "" || depth > depthMax {
		return nil, fmt.Errorf("malformed reply %.100q", line)
	}
	r := &Reply{Kind: text[0], Text: text[1:]}
	switch r.Kind {
	case '+', '-', '#', ',', '(':
		return r, nil
	case '_':
		return r, nil
	case ':', '$', '*', '%', '~', '>', '=', '!':
		if r.Int, err = strconv.ParseInt(r.Text, 10, 64); err != nil {
			return nil, fmt.Errorf("malformed reply %.100q", line)
		}
	default:
		return nil, fmt.Errorf("malformed reply %.100q", line)
	}
	return r, r.readRest(in, depth)
}

// readRest reads what follows the first line of r.
func (r *Reply) readRest(in *bufio.Reader, depth int) (err error) {
	n := r.Int
	switch r.Kind {
	case ':':
		return nil
	case '$', '=', '!':
		if n == -1 {
			r.Kind = '_'
			return nil
		}
		r.Text, err = bulk(in, n)
		return err
	}
	if n == -1 {
		r.Kind = '_'
		return nil
	}
	if r.Kind == '%' {
		n *= 2
	}
	for range n {
		p, err := read(in, depth+1)
		if err != nil {
			return err
		}
		r.Parts = append(r.Parts, p)
	}
	return nil
}

func bulk(in *bufio.Reader, n int64) (string, error) {
	if n < 0 || n > bulkBytesMax {
		return "", fmt.Errorf("malformed reply: length %d", n)
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(in, b); err != nil {
		return "", err
	}
	if string(b[n:]) != "\r\n" {
		return "", fmt.Errorf("malformed reply: no line end behind %d bytes", n)
	}
	return string(b[:n]), nil
}
