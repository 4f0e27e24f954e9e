package resp

import "math/big"

// Map begins a map of pairs: pairs times a name and a value follow. RESP2 has no maps: an array of twice as many.
func (w *Writer) Map(pairs int) {
	if w.resp3.Load() {
		w.header('%', int64(pairs))
		return
	}
	w.header('*', 2*int64(pairs))
}

// Set begins a set of n replies without order; an array in RESP2.
func (w *Writer) Set(n int) { w.aggregate('~', n) }

// Push begins out-of-band data of n replies (a message of a subscription, an invalidation); an array in RESP2.
func (w *Writer) Push(n int) { w.aggregate('>', n) }

func (w *Writer) aggregate(kind byte, n int) {
	if !w.resp3.Load() {
		kind = '*'
	}
	w.header(kind, int64(n))
}

// Bool appends a truth value: an integer 1 or 0 in RESP2.
func (w *Writer) Bool(value bool) {
	if value {
		w.byVersion(":1\r\n", "#t\r\n")
		return
	}
	w.byVersion(":0\r\n", "#f\r\n")
}

// Double appends a floating point number in the shortest form that reads back the same, laid out as Redis does; a bulk
// string in RESP2. Infinities are "inf" and "-inf", not a number is "nan".
func (w *Writer) Double(value float64) {
	var scratch [32]byte
	text := appendDouble(scratch[:0], value)
	if !w.resp3.Load() {
		w.Bulk(text)
		return
	}
	w.buf = append(w.buf, ',')
	w.buf = append(w.buf, text...)
	w.crlf()
}

// BigNumber appends an integer of any size; a bulk string in RESP2.
func (w *Writer) BigNumber(value *big.Int) {
	if !w.resp3.Load() {
		w.BulkString(value.String())
		return
	}
	w.buf = append(w.buf, '(')
	w.buf = value.Append(w.buf, 10)
	w.crlf()
}

// Verbatim appends text that a client shows as it is. The format has three bytes, "txt" or "mkd"; a plain bulk string
// in RESP2. It panics on a format of another length, which no client could read.
func (w *Writer) Verbatim(format, text string) {
	if len(format) != 3 {
		panic("resp: the format of a verbatim string has three bytes")
	}
	if !w.resp3.Load() {
		w.BulkString(text)
		return
	}
	w.header('=', int64(len(format)+1+len(text)))
	w.buf = append(w.buf, format...)
	w.buf = append(w.buf, ':')
	w.buf = append(w.buf, text...)
	w.crlf()
}
