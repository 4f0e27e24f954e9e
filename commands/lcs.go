package commands

import (
	"slices"

	"kahuna/op"
	"kahuna/resp"
)

// lcsCellsMax bounds the work of one LCS, which is the product of the lengths, and its memory, four times that in bytes.
const lcsCellsMax = 16 << 20

const (
	errLCSBoth    = "ERR If you want both the length and indexes, please just use IDX."
	errLCSStrings = "ERR The specified keys must contain string values"
)

// lcs is an LCS: the longest common subsequence of two strings.
type lcs struct {
	length, indexes, lengths bool // LEN, IDX, WITHMATCHLEN
	least                    int64
}

func parseLCS(p *parser) request {
	a, b, c := p.name(), p.name(), lcs{}
	for p.more() {
		switch {
		case p.is("LEN"):
			c.length = true
		case p.is("IDX"):
			c.indexes = true
		case p.is("WITHMATCHLEN"):
			c.lengths = true
		case len(p.args) > 1 && p.is("MINMATCHLEN"):
			c.least = max(p.int(), 0)
		default:
			p.fail(errSyntax)
		}
	}
	if c.length && c.indexes {
		p.fail(errLCSBoth)
	}
	return request{ops: []op.Op{&op.Look{Key: a, Values: true}, &op.Look{Key: b, Values: true}}, reply: c.reply}
}

func (c lcs) reply(w *resp.Writer, a answer) {
	x, y := &a.results[0].Result, &a.results[1].Result
	switch {
	case x.Found && !isString(x) || y.Found && !isString(y):
		w.Error(errLCSStrings)
	case len(x.Value)+1 > lcsCellsMax/(len(y.Value)+1):
		w.Error("ERR strings too long for LCS (limit " + itoa(lcsCellsMax) + ", the product of their lengths)")
	default:
		c.write(w, x.Value, y.Value)
	}
}

func (c lcs) write(w *resp.Writer, a, b []byte) {
	t := newLCSTable(a, b)
	switch {
	case c.indexes:
		matches := slices.DeleteFunc(t.matches(), func(m match) bool { return int64(m.length()) < c.least })
		w.Map(2)
		w.BulkString("matches")
		w.Array(len(matches))
		for _, m := range matches {
			c.writeMatch(w, m)
		}
		w.BulkString("len")
		w.Int(int64(t.length()))
	case c.length:
		w.Int(int64(t.length()))
	default:
		w.Bulk(t.text())
	}
}

func (c lcs) writeMatch(w *resp.Writer, m match) {
	parts := 2
	if c.lengths {
		parts = 3
	}
	w.Array(parts)
	for _, first := range []int{m.a, m.b} {
		w.Array(2)
		w.Int(int64(first))
		w.Int(int64(first + m.length() - 1))
	}
	if c.lengths {
		w.Int(int64(m.length()))
	}
}

// lcsTable has, for each pair of prefixes, the length of their longest common subsequence (Wagner and Fischer, 1974).
type lcsTable struct {
	a, b  []byte
	cells []uint32 // row by row, a row for each prefix of a
}

func newLCSTable(a, b []byte) *lcsTable {
	t := &lcsTable{a: a, b: b, cells: make([]uint32, (len(a)+1)*(len(b)+1))}
	width := len(b) + 1
	for i := range a {
		above, row := t.cells[i*width:(i+1)*width], t.cells[(i+1)*width:(i+2)*width]
		for j := range b {
			if a[i] == b[j] {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
		}
	}
	return t
}

func (t *lcsTable) at(i, j int) uint32 { return t.cells[i*(len(t.b)+1)+j] }

func (t *lcsTable) length() int { return int(t.at(len(t.a), len(t.b))) }

// match is where a part of both strings is the same: from a and b on, up to end in the first.
type match struct{ a, b, end int }

func (m match) length() int { return m.end - m.a }

// matches goes back from the end, as Redis does, so that of several subsequences it finds the same one.
func (t *lcsTable) matches() (all []match) {
	open := false // the last of all can still grow to the front
	for i, j := len(t.a), len(t.b); i > 0 && j > 0; {
		switch {
		case t.a[i-1] != t.b[j-1]:
			if open = false; t.at(i-1, j) > t.at(i, j-1) {
				i--
			} else {
				j--
			}
			continue
		case open:
			m := &all[len(all)-1]
			m.a, m.b = i-1, j-1
		default:
			all, open = append(all, match{a: i - 1, b: j - 1, end: i}), true
		}
		i, j = i-1, j-1
	}
	return all
}

func (t *lcsTable) text() []byte {
	text := make([]byte, 0, t.length())
	for _, m := range slices.Backward(t.matches()) {
		text = append(text, t.a[m.a:m.end]...)
	}
	return text
}
