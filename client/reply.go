package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Reply is one reply of RESP2.
type Reply struct {
	Kind  byte // '+', '-', ':', '$', '*', or '_' for nil
	Text  string
	Int   int64
	Parts []Reply
}

// Nil tells whether it is nil, which is no value or no array.
func (r *Reply) Nil() bool { return r.Kind == '_' }

// Err is the reply as an error, if it is one.
func (r *Reply) Err() error {
	if r.Kind == '-' {
		return &ServerError{r.Text}
	}
	return nil
}

// Field is a value of a map, which comes as a flat array of names and values; nil when there is no such name.
func (r *Reply) Field(name string) *Reply {
	for i := 0; i+1 < len(r.Parts); i += 2 {
		if r.Parts[i].Text == name {
			return &r.Parts[i+1]
		}
	}
	return nil
}

// Limits on what a server may answer.
const (
	lineBytesMax  = 64 << 10
	bulkBytesMax  = 512 << 20 // as in Redis
	elementsMax   = 1 << 20
	depthMax      = 8
	growBytesStep = 1 << 20 // a length is not believed further than this beyond what has come
)

var errMalformed = errors.New("the answer is not of the Redis protocol")

func read(in *bufio.Reader, depth int) (Reply, error) {
	line, err := readLine(in)
	if err != nil {
		return Reply{}, err
	}
	r := Reply{Kind: line[0], Text: line[1:]}
	switch r.Kind {
	case '+', '-':
		return r, nil
	case ':':
		if r.Int, err = strconv.ParseInt(r.Text, 10, 64); err != nil {
			return Reply{}, malformed(line)
		}
		return r, nil
	case '$', '*':
		n, err := strconv.Atoi(r.Text)
		if err != nil || n < -1 {
			return Reply{}, malformed(line)
		}
		if n == -1 {
			return Reply{Kind: '_'}, nil
		}
		return readBody(in, line, n, depth)
	}
	return Reply{}, malformed(line)
}

func readBody(in *bufio.Reader, line string, n, depth int) (Reply, error) {
	r := Reply{Kind: line[0]}
	switch {
	case r.Kind == '$' && n <= bulkBytesMax:
		var err error
		r.Text, err = readBulk(in, n)
		return r, err
	case r.Kind == '*' && n <= elementsMax && depth < depthMax:
		for range n {
			p, err := read(in, depth+1)
			if err != nil {
				return Reply{}, err
			}
			r.Parts = append(r.Parts, p)
		}
		return r, nil
	}
	return Reply{}, malformed(line)
}

// readLine reads a line of one byte at least, without its end.
func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > lineBytesMax {
			return "", malformed(string(line))
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", eof(err)
		}
	}
	if n := len(line); n < 3 || line[n-2] != '\r' {
		return "", malformed(string(line))
	}
	return string(line[:len(line)-2]), nil
}

func readBulk(in *bufio.Reader, n int) (string, error) {
	var b []byte
	for have := 0; have < n+2; have = len(b) {
		b = append(b, make([]byte, min(n+2-have, growBytesStep))...)
		if _, err := io.ReadFull(in, b[have:]); err != nil {
			return "", eof(err)
		}
	}
	if string(b[n:]) != "\r\n" {
		return "", malformed(string(b))
	}
	return string(b[:n]), nil
}

// eof names the end of a connection in words.
func eof(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server ended the connection: %w", err)
	}
	return err
}

func malformed(text string) error { return fmt.Errorf("%w: %.40q", errMalformed, text) }
