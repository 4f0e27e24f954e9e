package mvcc

import (
	"bytes"

	"kahuna/op"
	"kahuna/storage"
)

// InRange tells whether a name lies in what a transaction scanned.
func InRange(s *op.ScanSeen, n op.Name) bool {
	return bytes.HasPrefix(n.Key, s.Prefix) && bytes.Compare(n.Key, s.Start) >= 0 &&
		(len(s.End) == 0 || bytes.Compare(n.Key, s.End) < 0)
}

// UnchangedRange tells whether every name in a range that a transaction scanned is at a timestamp as it was at its
// snapshot, since: no newer version, deletions included, and nothing that ran out meanwhile. Another transaction's intent in it is an
// IntentError.
func UnchangedRange(r Reader, s *op.ScanSeen, txn op.TxnID, since, at op.Timestamp) (same bool, err error) {
	same = true
	lo, hi := storage.Bounds(storage.KindCurrent, s.Space, s.From, s.To)
	err = r.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		n, err := storage.ParseCurrent(key)
		if err != nil || !InRange(s, n) {
			return err == nil, err
		}
		cur, err := decode(value)
		if err != nil {
			return false, err
		}
		if cur.intent {
			if err := undecided(r, n, txn, op.MaxTimestamp); err != nil {
				return false, err
			}
		}
		same = cur.TS <= since && cur.liveAt(since) == cur.liveAt(at)
		return same, nil
	})
	return same, err
}
