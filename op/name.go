package op

import "bytes"

// Space is one of the separate name spaces: a key, a lock and a sequence may bear the same name.
type Space byte

// The numbers are stored; they are only ever added to.
const (
	SpaceKey  Space = 1 // keys of KSET, SET, ...
	SpaceLock Space = 2 // locks
	SpaceSeq  Space = 3 // sequences
	SpaceIdem Space = 4 // what SEQNEXT ... IDEM answered; Key is the sequence's name, Sub the idempotency key
	SpaceTxn  Space = 5 // home names of interactive transactions (TxnHome); nothing is ever written at them
)

// Slots is how many hash slots there are, as in Redis Cluster.
const Slots = 16384

// Name says what an operation is about. Key alone decides the slot and so the partition; Sub tells apart what belongs to
// one Key (idempotency keys of a sequence) and is empty otherwise.
type Name struct {
	Space Space
	Key   []byte
	Sub   []byte
}

// Key, Lock and Seq make a Name of that space.
func Key(name []byte) Name  { return Name{Space: SpaceKey, Key: name} }
func Lock(name []byte) Name { return Name{Space: SpaceLock, Key: name} }
func Seq(name []byte) Name  { return Name{Space: SpaceSeq, Key: name} }

// Slot is CRC16 (XMODEM) of the name, or of its hash tag, modulo Slots, as Redis Cluster defines it.
func (n Name) Slot() uint16 { return Slot(n.Key) }

// Equal tells whether two names are the same.
func (n Name) Equal(m Name) bool {
	return n.Space == m.Space && bytes.Equal(n.Key, m.Key) && bytes.Equal(n.Sub, m.Sub)
}

// Slot is the hash slot of a name. Source: Redis Cluster specification, "Hash tags".
func Slot(name []byte) uint16 {
	if i := bytes.IndexByte(name, '{'); i >= 0 {
		if j := bytes.IndexByte(name[i+1:], '}'); j > 0 {
			name = name[i+1 : i+1+j]
		}
	}
	var crc uint16
	for _, c := range name {
		crc = crc<<8 ^ crc16[byte(crc>>8)^c]
	}
	return crc % Slots
}

var crc16 = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[i] = crc
	}
	return t
}()
