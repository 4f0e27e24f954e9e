package storage

import (
	"encoding/binary"

	"kahuna/op"
)

// cutNamed takes kind, space, slot and escaped name off the front of a key.
func cutNamed(key []byte, k Kind) (n op.Name, rest []byte, err error) {
	if len(key) < 4 || key[0] != byte(k) {
		return op.Name{}, nil, ErrBadKey
	}
	return cutName(key[1:])
}

// cutName takes [space][slot][esc(key)] off the front of b.
func cutName(b []byte) (n op.Name, rest []byte, err error) {
	if len(b) < 3 {
		return op.Name{}, nil, ErrBadKey
	}
	name, rest, ok := cutEscaped(b[3:])
	if !ok {
		return op.Name{}, nil, ErrBadKey
	}
	return op.Name{Space: op.Space(b[0]), Key: name}, rest, nil
}

func withSub(n op.Name, sub []byte) op.Name {
	if len(sub) > 0 {
		n.Sub = sub
	}
	return n
}

// ParseCurrent is the name in a key of KindCurrent. Here and below the parts of a name may alias the key.
func ParseCurrent(key []byte) (op.Name, error) {
	n, sub, err := cutNamed(key, KindCurrent)
	return withSub(n, sub), err
}

// ParseIntent is the name in a key of KindIntent.
func ParseIntent(key []byte) (op.Name, error) {
	n, sub, err := cutNamed(key, KindIntent)
	return withSub(n, sub), err
}

// ParseHistory is the name and the timestamp in a key of KindHistory.
func ParseHistory(key []byte) (op.Name, op.Timestamp, error) {
	n, rest, err := cutNamed(key, KindHistory)
	if err != nil {
		return op.Name{}, 0, err
	}
	sub, rest, ok := cutEscaped(rest)
	if !ok || len(rest) != 8 {
		return op.Name{}, 0, ErrBadKey
	}
	return withSub(n, sub), op.Timestamp(^binary.BigEndian.Uint64(rest)), nil
}

// ParseChunk is the name, the timestamp and the number of the piece in a key of KindChunk.
func ParseChunk(key []byte) (op.Name, op.Timestamp, uint16, error) {
	n, rest, err := cutNamed(key, KindChunk)
	if err != nil {
		return op.Name{}, 0, 0, err
	}
	sub, rest, ok := cutEscaped(rest)
	if !ok || len(rest) != 10 {
		return op.Name{}, 0, 0, ErrBadKey
	}
	return withSub(n, sub), op.Timestamp(binary.BigEndian.Uint64(rest)), binary.BigEndian.Uint16(rest[8:]), nil
}

// ParseRecord is the home name (without Sub) and the transaction in a key of KindRecord.
func ParseRecord(key []byte) (home op.Name, txn op.TxnID, err error) {
	if len(key) < 3 || key[0] != byte(KindRecord) {
		return op.Name{}, 0, ErrBadKey
	}
	name, rest, ok := cutEscaped(key[3:])
	if !ok || len(rest) != 9 {
		return op.Name{}, 0, ErrBadKey
	}
	return op.Name{Space: op.Space(rest[0]), Key: name}, op.TxnID(binary.BigEndian.Uint64(rest[1:])), nil
}

// ParseDue is the expiry and the name in a key of KindDue.
func ParseDue(key []byte) (expiry op.Timestamp, n op.Name, err error) {
	if len(key) < 9 || key[0] != byte(KindDue) {
		return 0, op.Name{}, ErrBadKey
	}
	n, sub, err := cutName(key[9:])
	if err != nil {
		return 0, op.Name{}, err
	}
	return op.Timestamp(binary.BigEndian.Uint64(key[1:])), withSub(n, sub), nil
}

// ParsePartition is the partition, the byte that says what, and whatever follows, of a key of KindPartition.
func ParsePartition(key []byte) (partition uint32, what byte, rest []byte, err error) {
	if len(key) < 6 || key[0] != byte(KindPartition) {
		return 0, 0, nil, ErrBadKey
	}
	return binary.BigEndian.Uint32(key[1:]), key[5], key[6:], nil
}
