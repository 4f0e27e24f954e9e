package commands

import (
	"fmt"
	"math"

	"kahuna/cluster"
	"kahuna/glob"
	"kahuna/hashes"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/resp"
)

// orError writes a reply that may turn out not to be one: what it has written is taken back then.
func orError(w *resp.Writer, write func() error) {
	mark := w.Len()
	if err := write(); err != nil {
		w.Truncate(mark)
		w.Error(errorText(err))
	}
}

// writeTyped writes a value in its stored form as the K commands show it: a string as it is, a hash as HGETALL does.
func writeTyped(w *resp.Writer, kind mvcc.Type, value []byte) error {
	switch kind {
	case 0, mvcc.TypeString:
		w.Bulk(value)
		return nil
	case mvcc.TypeHash:
		return writeMap(w, value)
	}
	return fmt.Errorf("%w: the value is of type %d, which this version does not know", cluster.ErrFault, kind)
}

// typeName is what TYPE answers.
func typeName(kind mvcc.Type) string {
	if kind == mvcc.TypeHash {
		return "hash"
	}
	return "string"
}

func isString(r *op.Result) bool { return r.Found && mvcc.Type(r.Int) == mvcc.TypeString }

// pair is a field with its value.
type pair struct{ name, value []byte }

// pairs are the fields of a stored hash in order.
func pairs(hash []byte) ([]pair, error) {
	var all []pair
	r := hashes.Read(hash)
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		all = append(all, pair{name, value})
	}
	return all, damaged(r.Err())
}

// damaged is the error for a hash that can't be read.
func damaged(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrFault, err)
	}
	return nil
}

func writeMap(w *resp.Writer, hash []byte) error {
	n, err := hashes.Count(hash)
	if err != nil {
		return damaged(err)
	}
	w.Map(n)
	r := hashes.Read(hash)
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		w.Bulk(name)
		w.Bulk(value)
	}
	return nil
}

func writeNames(w *resp.Writer, hash []byte) error {
	return writeEach(w, hash, func(name, _ []byte) { w.Bulk(name) })
}

func writeValues(w *resp.Writer, hash []byte) error {
	return writeEach(w, hash, func(_, value []byte) { w.Bulk(value) })
}

func writeEach(w *resp.Writer, hash []byte, each func(name, value []byte)) error {
	n, err := hashes.Count(hash)
	if err != nil {
		return damaged(err)
	}
	w.Array(n)
	r := hashes.Read(hash)
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		each(name, value)
	}
	return nil
}

// fieldScan is a HSCAN. It gives all at once, as Redis does for small hashes: the next cursor is always 0.
type fieldScan struct {
	match  []byte // glob; nil: all
	values bool
}

func (s fieldScan) write(w *resp.Writer, hash []byte) error {
	all, err := pairs(hash)
	if err != nil {
		return err
	}
	found := all[:0]
	for _, f := range all {
		if s.match == nil || glob.Match(s.match, f.name) {
			found = append(found, f)
		}
	}
	w.Array(2)
	w.BulkString("0")
	if !s.values {
		w.Array(len(found))
	} else {
		w.Array(2 * len(found))
	}
	for _, f := range found {
		w.Bulk(f.name)
		if s.values {
			w.Bulk(f.value)
		}
	}
	return nil
}

// randomFields is a HRANDFIELD.
type randomFields struct {
	rand     func() uint64
	count    int64
	values   bool
	bytesMax int // of the reply
}

// outOfRange tells whether the count can't be that of a reply, which has two elements for each field with WITHVALUES.
func (r *randomFields) outOfRange() bool {
	return r.values && (r.count < -math.MaxInt64/2 || r.count > math.MaxInt64/2)
}

// writeOne answers without a count.
func (r *randomFields) writeOne(w *resp.Writer, hash []byte) error {
	all, err := pairs(hash)
	switch {
	case err != nil:
		return err
	case len(all) == 0:
		w.Null()
	default:
		w.Bulk(all[r.below(len(all))].name)
	}
	return nil
}

func (r *randomFields) below(n int) int { return int(r.rand() % uint64(n)) }

func (r *randomFields) write(w *resp.Writer, hash []byte) error {
	all, err := pairs(hash)
	if err != nil {
		return err
	}
	switch {
	case len(all) == 0 || r.count == 0:
		w.Array(0)
		return nil
	case r.count < 0:
		return r.writeRepeated(w, all)
	}
	if r.count < int64(len(all)) {
		for i := range r.count { // the first steps of a Fisher-Yates shuffle
			j := int(i) + r.below(len(all)-int(i))
			all[i], all[j] = all[j], all[i]
		}
		all = all[:r.count]
	}
	r.header(w, int64(len(all)))
	for _, f := range all {
		r.pair(w, f)
	}
	return nil
}

// writeRepeated answers a negative count, with which a small hash may have an answer of any size.
func (r *randomFields) writeRepeated(w *resp.Writer, all []pair) error {
	from := w.Len()
	r.header(w, -r.count)
	for n := r.count; n < 0; n++ {
		if r.pair(w, all[r.below(len(all))]); w.Len()-from > r.bytesMax {
			return userError("ERR " + tooLarge("reply", r.bytesMax))
		}
	}
	return nil
}

// header and pair are laid out as Redis does: with values, RESP3 has an array for each field.
func (r *randomFields) header(w *resp.Writer, n int64) {
	if r.values && w.Proto() != resp.RESP3 {
		n *= 2
	}
	w.Array(int(n))
}

func (r *randomFields) pair(w *resp.Writer, f pair) {
	if r.values && w.Proto() == resp.RESP3 {
		w.Array(2)
	}
	w.Bulk(f.name)
	if r.values {
		w.Bulk(f.value)
	}
}
