// Package resp writes replies of the Redis serialization protocol, versions 2 and 3.
//
// A Writer appends replies to one buffer and knows which version its client speaks, so the command layer says what it
// answers (a map, a null, a double) and not how that looks on the wire. The package reads nothing and does no I/O.
package resp

import (
	"strconv"
	"sync/atomic"
)

// Protocol versions that HELLO can choose.
const (
	RESP2 = 2
	RESP3 = 3
)

// Writer appends replies to an internal buffer. The zero value is ready and speaks RESP2.
//
// A Writer belongs to one goroutine at a time, except Proto, which any goroutine may call. The caller writes whole
// replies: after Array(2) exactly two replies follow, and so on. Nothing is checked.
type Writer struct {
	buf     []byte
	resp3   atomic.Bool
	onError func(text string)
}

// OnError has fn told of every error that is appended. nil: nobody.
func (w *Writer) OnError(fn func(text string)) { w.onError = fn }

// Proto is the protocol version in use, 2 or 3.
func (w *Writer) Proto() int {
	if w.resp3.Load() {
		return RESP3
	}
	return RESP2
}

// SetProto chooses the version of the replies that follow. Whatever is not 3 is taken as 2.
func (w *Writer) SetProto(version int) {
	if w.resp3.Load() != (version == RESP3) {
		w.resp3.Store(version == RESP3)
	}
}

// Bytes is what was written so far. It is valid until the next call that changes the Writer.
func (w *Writer) Bytes() []byte { return w.buf }

// Len is the number of bytes written so far.
func (w *Writer) Len() int { return len(w.buf) }

// Cap is the size of the buffer in bytes.
func (w *Writer) Cap() int { return cap(w.buf) }

// Reset forgets what was written and keeps the buffer and the protocol version.
func (w *Writer) Reset() { w.buf = w.buf[:0] }

// Release forgets what was written and lets the buffer go, so that an idle Writer costs no memory.
func (w *Writer) Release() { w.buf = nil }

// Truncate takes back everything written after the first n bytes: for a reply that turned into an error half-way.
// It panics if n is not in [0, Len()].
func (w *Writer) Truncate(n int) {
	if n > len(w.buf) {
		panic("resp: Truncate beyond what was written")
	}
	w.buf = w.buf[:n]
}

// Raw appends bytes that are already replies in the right version.
func (w *Writer) Raw(replies []byte) { w.buf = append(w.buf, replies...) }

// SimpleString appends a status such as OK. CR and LF in it become spaces.
func (w *Writer) SimpleString(text string) { w.line('+', text) }

// Error appends an error. The text starts with its prefix word ("ERR syntax error"); CR and LF in it become spaces.
func (w *Writer) Error(text string) {
	if w.onError != nil {
		w.onError(text)
	}
	w.line('-', text)
}

// Int appends a signed integer.
func (w *Writer) Int(n int64) { w.header(':', n) }

// Uint appends an unsigned integer.
func (w *Writer) Uint(n uint64) {
	w.buf = append(w.buf, ':')
	w.buf = strconv.AppendUint(w.buf, n, 10)
	w.crlf()
}

// Bulk appends a binary safe string. A nil slice is an empty string; see Null for "no value".
func (w *Writer) Bulk(value []byte) {
	w.header('$', int64(len(value)))
	w.buf = append(w.buf, value...)
	w.crlf()
}

// BulkString appends a binary safe string.
func (w *Writer) BulkString(value string) {
	w.header('$', int64(len(value)))
	w.buf = append(w.buf, value...)
	w.crlf()
}

// Null appends "no value": "$-1" in RESP2, "_" in RESP3.
func (w *Writer) Null() { w.byVersion("$-1\r\n", "_\r\n") }

// NullArray appends "no array", which EXEC answers when a watched key changed: "*-1" in RESP2, "_" in RESP3.
func (w *Writer) NullArray() { w.byVersion("*-1\r\n", "_\r\n") }

// Array begins an array of n replies.
func (w *Writer) Array(n int) { w.header('*', int64(n)) }

func (w *Writer) byVersion(two, three string) {
	if w.resp3.Load() {
		w.buf = append(w.buf, three...)
		return
	}
	w.buf = append(w.buf, two...)
}

// header appends "<kind><n>\r\n".
func (w *Writer) header(kind byte, n int64) {
	if n >= 0 && n <= 9 {
		w.buf = append(w.buf, kind, byte('0'+n), '\r', '\n')
		return
	}
	w.buf = append(w.buf, kind)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.crlf()
}

// line appends "<kind><text>\r\n". A CR or LF inside would end the reply early, and what follows would be taken for
// other replies.
func (w *Writer) line(kind byte, text string) {
	w.buf = append(w.buf, kind)
	from := len(w.buf)
	w.buf = append(w.buf, text...)
	for i := from; i < len(w.buf); i++ {
		if w.buf[i] == '\r' || w.buf[i] == '\n' {
			w.buf[i] = ' '
		}
	}
	w.crlf()
}

func (w *Writer) crlf() { w.buf = append(w.buf, '\r', '\n') }
