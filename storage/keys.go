package storage

import (
	"bytes"
	"encoding/binary"
	"errors"

	"kahuna/op"
)

// Kind is the first byte of a key and says what is stored under it.
type Kind byte

// The kinds. They are on disk: append only, never reuse a byte. esc() is the escaped form of a name, see appendEscaped.
//
//	d [space 1][slot 2][esc(key)][sub]                              the current version of a name
//	h [space 1][slot 2][esc(key)][esc(sub)][^timestamp 8]           older versions, the newest first
//	i [space 1][slot 2][esc(key)][sub]                              a transaction's intent
//	b [space 1][slot 2][esc(key)][esc(sub)][timestamp 8][chunk 2]   a piece of a big value
//	t [slot 2][esc(home key)][home space 1][transaction 8]          a transaction's record
//	x [expiry 8][space 1][slot 2][esc(key)][sub]                    when a name is due to expire
//	p [partition 4][what 1]...                                      a partition's own state
//	m [what 1]...                                                   the meta partition's state
//	f ...                                                           the store's own: format marker, witness
//
// All numbers are big endian. The space stands before the slot, so that a name space of a range of slots is contiguous.
const (
	KindCurrent   Kind = 'd'
	KindHistory   Kind = 'h'
	KindIntent    Kind = 'i'
	KindChunk     Kind = 'b'
	KindRecord    Kind = 't'
	KindDue       Kind = 'x'
	KindPartition Kind = 'p'
	KindMeta      Kind = 'm'
	KindFormat    Kind = 'f'
)

// Keys of the store itself.
var (
	formatKey  = []byte{byte(KindFormat)}
	witnessKey = []byte{byte(KindFormat), 1} // set by a batch that would otherwise only delete
)

// ErrBadKey says that bytes are not a key of the kind asked for. In a key read from the store it means damage.
var ErrBadKey = errors.New("storage: not a key of this kind")

const (
	escape     = 0x00
	escapedNul = 0xFF // escape escapedNul stands for a zero byte
	terminator = 0x01 // escape terminator ends a name
)

// appendEscaped appends a name such that the order of names is kept and no name's form is a prefix of another's.
func appendEscaped(dst, name []byte) []byte {
	for {
		i := bytes.IndexByte(name, 0)
		if i < 0 {
			dst = append(dst, name...)
			return append(dst, escape, terminator)
		}
		dst = append(dst, name[:i]...)
		dst = append(dst, escape, escapedNul)
		name = name[i+1:]
	}
}

// cutEscaped takes an escaped name off the front of b. The name aliases b unless it has zero bytes in it.
func cutEscaped(b []byte) (name, rest []byte, ok bool) {
	start := 0
	for {
		i := bytes.IndexByte(b[start:], escape)
		if i < 0 || start+i+1 >= len(b) {
			return nil, nil, false
		}
		end := start + i
		switch b[end+1] {
		case terminator:
			if name == nil {
				return b[:end:end], b[end+2:], true
			}
			return append(name, b[start:end]...), b[end+2:], true
		case escapedNul:
			if name == nil {
				name = make([]byte, 0, len(b))
			}
			name = append(append(name, b[start:end]...), 0)
			start = end + 2
		default:
			return nil, nil, false
		}
	}
}

func appendNamed(dst []byte, k Kind, n op.Name) []byte {
	dst = append(dst, byte(k), byte(n.Space))
	dst = binary.BigEndian.AppendUint16(dst, n.Slot())
	return appendEscaped(dst, n.Key)
}

// AppendCurrent appends the key of a name's current version.
func AppendCurrent(dst []byte, n op.Name) []byte {
	return append(appendNamed(dst, KindCurrent, n), n.Sub...)
}

// AppendIntent appends the key of the intent on a name.
func AppendIntent(dst []byte, n op.Name) []byte {
	return append(appendNamed(dst, KindIntent, n), n.Sub...)
}

// AppendHistoryPrefix appends what the keys of all older versions of a name begin with, and no others.
func AppendHistoryPrefix(dst []byte, n op.Name) []byte {
	return appendEscaped(appendNamed(dst, KindHistory, n), n.Sub)
}

// AppendHistory appends the key of the older version of a name that was written at ts.
func AppendHistory(dst []byte, n op.Name, ts op.Timestamp) []byte {
	return binary.BigEndian.AppendUint64(AppendHistoryPrefix(dst, n), ^uint64(ts))
}

// AppendChunkPrefix appends what the keys of all pieces of the version of a name at ts begin with, and no others.
func AppendChunkPrefix(dst []byte, n op.Name, ts op.Timestamp) []byte {
	dst = appendEscaped(appendNamed(dst, KindChunk, n), n.Sub)
	return binary.BigEndian.AppendUint64(dst, uint64(ts))
}

// AppendChunk appends the key of a piece of the version of a name at ts.
func AppendChunk(dst []byte, n op.Name, ts op.Timestamp, chunk uint16) []byte {
	return binary.BigEndian.AppendUint16(AppendChunkPrefix(dst, n, ts), chunk)
}

// AppendRecord appends the key of a transaction's record at its home name. The home's Sub is not part of it.
func AppendRecord(dst []byte, home op.Name, txn op.TxnID) []byte {
	dst = append(dst, byte(KindRecord))
	dst = binary.BigEndian.AppendUint16(dst, home.Slot())
	dst = append(appendEscaped(dst, home.Key), byte(home.Space))
	return binary.BigEndian.AppendUint64(dst, uint64(txn))
}

// AppendDue appends the key that says that a name expires at a time.
func AppendDue(dst []byte, expiry op.Timestamp, n op.Name) []byte {
	dst = AppendDuePrefix(dst, expiry)
	dst = append(dst, byte(n.Space))
	dst = binary.BigEndian.AppendUint16(dst, n.Slot())
	return append(appendEscaped(dst, n.Key), n.Sub...)
}

// AppendDuePrefix appends the smallest key of what is due at a time: a bound for a scan of everything due before it.
func AppendDuePrefix(dst []byte, expiry op.Timestamp) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(KindDue)), uint64(expiry))
}

// AppendPartition appends the key of one thing of a partition's own state. The caller may append more.
func AppendPartition(dst []byte, partition uint32, what byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(KindPartition)), partition)
	return append(dst, what)
}

// AppendMeta appends the key of one thing of the meta partition's state. The caller may append more.
func AppendMeta(dst []byte, what byte) []byte {
	return append(dst, byte(KindMeta), what)
}

// PrefixEnd appends the smallest key above all that begin with prefix; nothing when there is none.
func PrefixEnd(dst, prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xFF {
			return append(append(dst, prefix[:i]...), prefix[i]+1)
		}
	}
	return dst
}

// Bounds are the first key of a kind and space at or after from, and the first one past to. The zero to means the end of
// the space. KindRecord has no space in its keys; KindDue, KindPartition and KindMeta are not ordered by position and have
// no such bounds.
func Bounds(k Kind, space op.Space, from, to op.Position) (lo, hi []byte) {
	head := make([]byte, 0, 2)
	switch k {
	case KindCurrent, KindHistory, KindIntent, KindChunk:
		head = append(head, byte(k), byte(space))
	case KindRecord:
		head = append(head, byte(k))
	default:
		panic("storage: keys of kind " + string(rune(k)) + " are not ordered by position")
	}
	lo = appendPosition(bytes.Clone(head), from)
	if to.Slot == 0 && len(to.Name) == 0 {
		return lo, PrefixEnd(nil, head)
	}
	return lo, appendPosition(head, to)
}

func appendPosition(dst []byte, p op.Position) []byte {
	dst = binary.BigEndian.AppendUint16(dst, p.Slot)
	if len(p.Name) == 0 {
		return dst // the empty name is the first of its slot
	}
	return appendEscaped(dst, p.Name)
}
