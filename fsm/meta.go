package fsm

import (
	"encoding/binary"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// What the meta group keeps.
const (
	metaClock byte = 1 // the bound below which timestamps may be given out
	// 2 and 3 were the cluster's id and the range map, before there were documents.
	// metaVersion is the last version that was given to a document, metaDocument begins the documents' keys.
	metaVersion  byte = 4
	metaDocument byte = 5
)

const metaFormat = 1

// clockBound raises the bound; it never falls.
func clockBound(b mvcc.Batch, o *op.ClockBound) (op.Result, error) {
	bound, err := ClockBound(b)
	if err != nil {
		return op.Result{}, err
	}
	if o.Until > bound {
		bound = o.Until
		b.Set(storage.AppendMeta(nil, metaClock), binary.BigEndian.AppendUint64([]byte{metaFormat}, uint64(bound)))
	}
	return op.Result{Done: true, TS: bound}, nil
}

// ClockBound reads the bound; 0 when none was ever set.
func ClockBound(r mvcc.Reader) (op.Timestamp, error) {
	v, ok, err := loadMeta(r, metaClock)
	if err != nil || !ok {
		return 0, err
	}
	if len(v) != 8 {
		return 0, mvcc.ErrDamaged
	}
	return op.Timestamp(binary.BigEndian.Uint64(v)), nil
}

func loadMeta(r mvcc.Reader, what byte) ([]byte, bool, error) {
	v, ok, err := r.Get(storage.AppendMeta(nil, what))
	if err != nil || !ok {
		return nil, false, err
	}
	if len(v) == 0 || v[0] != metaFormat {
		return nil, false, mvcc.ErrDamaged
	}
	return v[1:], true, nil
}
