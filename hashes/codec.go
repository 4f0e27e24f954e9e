package hashes

import (
	"encoding/binary"
	"errors"

	"kahuna/op"
)

// The stored form of a hash: a format byte, and for each field its name and its value, each with its length in front. There is no
// count, so that to append a field touches nothing that stands before it. The bytes follow from the operations alone, the same on
// every replica. Golden bytes: testdata/hash.golden.
const format = 1

// ErrDamaged says that the stored form of a hash can't be read. It is a fault of the store, never an answer.
var ErrDamaged = errors.New("hashes: a stored hash is damaged")

// Reader goes through the fields of a stored hash in order.
type Reader struct {
	rest []byte
	err  error
}

// Read begins with a stored hash; nothing at all is a hash without fields. What Next gives points into b.
func Read(b []byte) Reader {
	if len(b) == 0 {
		return Reader{}
	}
	if b[0] != format {
		return Reader{err: ErrDamaged}
	}
	return Reader{rest: b[1:]}
}

// Next gives the next field, false after the last one and when the rest can't be read, as Err then says.
func (r *Reader) Next() (name, value []byte, ok bool) {
	if len(r.rest) == 0 || r.err != nil {
		return nil, nil, false
	}
	name, value = r.text(), r.text()
	return name, value, r.err == nil
}

// Err is ErrDamaged when a field could not be read.
func (r *Reader) Err() error { return r.err }

func (r *Reader) text() []byte {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 || n > uint64(len(r.rest)-used) {
		r.rest, r.err = nil, ErrDamaged
		return nil
	}
	t := r.rest[used : used+int(n) : used+int(n)]
	r.rest = r.rest[used+int(n):]
	return t
}

// Count is how many fields a stored hash has.
func Count(b []byte) (n int, err error) {
	r := Read(b)
	for _, _, ok := r.Next(); ok; _, _, ok = r.Next() {
		n++
	}
	return n, r.Err()
}

// AppendField appends a field to a stored hash, which may be nothing at all. It must not have the field.
func AppendField(b, name, value []byte) []byte {
	if len(b) == 0 {
		b = append(b, format)
	}
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(b, name...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// textBytesMax is the most that a length takes.
const textBytesMax = binary.MaxVarintLen32

// names finds things by their names: one after the other when they are few, else in a map.
type names struct {
	few  [][]byte
	many map[string]int
}

const fewNames = 8

func (s *names) find(name []byte) (at int, ok bool) {
	if s.many != nil {
		at, ok = s.many[string(name)]
		return at, ok
	}
	for i, n := range s.few {
		if string(n) == string(name) {
			return i, true
		}
	}
	return 0, false
}

// add gives a name the next number, or the one that it has already.
func (s *names) add(name []byte) (at int, fresh bool) {
	if at, ok := s.find(name); ok {
		return at, false
	}
	at = len(s.few)
	s.few = append(s.few, name)
	if s.many == nil && len(s.few) > fewNames {
		s.many = make(map[string]int, 4*fewNames)
		for i, n := range s.few {
			s.many[string(n)] = i
		}
	}
	if s.many != nil {
		s.many[string(name)] = at
	}
	return at, true
}

// set gives a stored hash with fields changed or appended, and how many were appended.
func set(old []byte, fields []op.Field) (next []byte, added int, err error) {
	var wanted names
	values := make([][]byte, 0, len(fields))
	size := len(old) + 1
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value) + 2*textBytesMax
		if at, fresh := wanted.add(fields[i].Name); !fresh {
			values[at] = fields[i].Value
		} else {
			values = append(values, fields[i].Value)
		}
	}
	next = make([]byte, 0, size)
	done := make([]bool, len(values))
	r := Read(old)
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		if at, is := wanted.find(name); is {
			value, done[at] = values[at], true
		}
		next = AppendField(next, name, value)
	}
	for i, name := range wanted.few {
		if !done[i] {
			next = AppendField(next, name, values[i])
			added++
		}
	}
	return next, added, r.Err()
}

// remove gives a stored hash without fields, nothing at all when none is left, and how many there were.
func remove(old []byte, fields [][]byte) (next []byte, removed int, err error) {
	var gone names
	for _, f := range fields {
		gone.add(f)
	}
	r := Read(old)
	next = make([]byte, 0, len(old))
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		if _, is := gone.find(name); is {
			removed++
			continue
		}
		next = AppendField(next, name, value)
	}
	return next, removed, r.Err()
}

// find is the value of a field.
func find(b, field []byte) (value []byte, found bool, err error) {
	r := Read(b)
	for name, v, ok := r.Next(); ok; name, v, ok = r.Next() {
		if string(name) == string(field) {
			return v, true, nil
		}
	}
	return nil, false, r.Err()
}

// pick copies the values of fields, in their order, and counts all that there are. It gives nil for values that take more than
// maxBytes together; one field may be asked for many times.
func pick(b []byte, fields [][]byte, maxBytes uint64) (items []op.Item, count int, err error) {
	var wanted names
	for _, f := range fields {
		wanted.add(f)
	}
	found := make([][]byte, len(wanted.few))
	r := Read(b)
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		count++
		if at, is := wanted.find(name); is {
			found[at] = value[:len(value):len(value)]
		}
	}
	if r.Err() != nil || len(fields) == 0 {
		return nil, count, r.Err()
	}
	items = make([]op.Item, len(fields))
	size := uint64(0)
	for i, f := range fields {
		at, _ := wanted.find(f)
		if size += uint64(len(found[at])); size > maxBytes {
			return nil, count, nil
		}
		items[i] = op.Item{Value: append([]byte(nil), found[at]...), Deleted: found[at] == nil}
	}
	return items, count, nil
}
