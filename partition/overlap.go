package partition

import (
	"bytes"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
)

// scanHas tells whether a name lies in a range.
func scanHas(s *op.ScanSeen, n op.Name) bool {
	at := op.Position{Slot: n.Slot(), Name: n.Key}
	return n.Space == s.Space && fsm.Compare(at, s.From) >= 0 && (fsm.IsEnd(s.To) || fsm.Compare(at, s.To) < 0) && mvcc.InRange(s, n)
}

// scansMeet tells whether a name may lie in both ranges.
func scansMeet(a, b *op.ScanSeen) bool {
	return a.Space == b.Space && before(a, b) && before(b, a) &&
		(bytes.HasPrefix(a.Prefix, b.Prefix) || bytes.HasPrefix(b.Prefix, a.Prefix))
}

// before tells whether a begins before b ends, in both orders.
func before(a, b *op.ScanSeen) bool {
	return (fsm.IsEnd(b.To) || fsm.Compare(a.From, b.To) < 0) && (len(b.End) == 0 || bytes.Compare(a.Start, b.End) < 0)
}
