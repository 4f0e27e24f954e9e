package fsm

import (
	"bytes"
	"encoding/binary"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// documentBytesMax bounds a page of documents.
const documentBytesMax = 4 << 20

// putDocument writes or deletes a document of the meta group. Versions come from one counter, so that one which was deleted and
// made again never has an earlier version.
func putDocument(b mvcc.Batch, o *op.MetaPut) (op.Result, error) {
	key := documentKey(o.Key)
	value, version, found, err := loadDocument(b, key)
	if err != nil {
		return op.Result{}, err
	}
	if !o.Any && version != o.IfVersion {
		return op.Result{Found: found, Value: clip(value), Rev: version}, nil
	}
	if o.Delete && !found {
		return op.Result{Done: true}, nil
	}
	last, _, err := loadMeta(b, metaVersion)
	if err != nil {
		return op.Result{}, err
	}
	next := uint64(1)
	if len(last) == 8 {
		next = binary.BigEndian.Uint64(last) + 1
	}
	b.Set(storage.AppendMeta(nil, metaVersion), binary.BigEndian.AppendUint64([]byte{metaFormat}, next))
	if o.Delete {
		b.Delete(key)
	} else {
		b.Set(key, append(binary.BigEndian.AppendUint64([]byte{metaFormat}, next), o.Value...))
	}
	return op.Result{Done: true, Rev: next}, nil
}

func documentKey(name []byte) []byte {
	return append(storage.AppendMeta(nil, metaDocument), name...)
}

// loadDocument reads a document; what it returns is borrowed.
func loadDocument(r mvcc.Reader, key []byte) (value []byte, version uint64, found bool, err error) {
	v, found, err := r.Get(key)
	if err != nil || !found {
		return nil, 0, false, err
	}
	value, version, err = parseDocument(v)
	return value, version, true, err
}

func parseDocument(v []byte) ([]byte, uint64, error) {
	if len(v) < 9 || v[0] != metaFormat {
		return nil, 0, mvcc.ErrDamaged
	}
	return v[9:], binary.BigEndian.Uint64(v[1:]), nil
}

func getDocument(r mvcc.Reader, o *op.MetaGet) (op.Result, error) {
	value, version, found, err := loadDocument(r, documentKey(o.Key))
	return op.Result{Found: found, Value: clip(value), Rev: version}, err
}

func listDocuments(r mvcc.Reader, o *op.MetaList) (res op.Result, err error) {
	lo := documentKey(o.Prefix)
	hi := storage.PrefixEnd(nil, lo)
	if after := documentKey(o.After); bytes.Compare(after, lo) >= 0 {
		lo = append(after, 0)
	}
	res.Done = true
	size := 0
	err = r.Scan(lo, hi, false, false, func(key, v []byte) (bool, error) {
		if uint32(len(res.Items)) >= max(o.Limit, 1) || size > documentBytesMax {
			res.Done = false
			return false, nil
		}
		value, version, err := parseDocument(v)
		if err != nil {
			return false, err
		}
		size += len(key) + len(value)
		res.Items = append(res.Items, op.Item{Key: clip(key[2:]), Value: clip(value), Rev: version})
		return true, nil
	})
	return res, err
}
