package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// pairsPerWorker is how many pairs of keys a worker of the transaction workloads writes in turn.
const pairsPerWorker = 16

// lowSlots and highSlots bound the slots of the two keys of a pair: in the first and in the last quarter of all slots, so
// that ranges of equal size put them into different partitions.
const (
	slots     = 16384
	lowSlots  = slots / 4
	highSlots = slots - slots/4
)

// dataKeys are the keys of Set and Get.
func dataKeys() [][]byte { return keysOf("key:") }

// sizedKeys are the keys of a workload with values of a size of its own: reads expect the others.
func sizedKeys(size int) [][]byte { return keysOf(fmt.Sprintf("sized:%d:", size)) }

func keysOf(prefix string) [][]byte {
	keys := make([][]byte, Keys)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "%s%08d", prefix, i)
	}
	return keys
}

// keysFor are the keys that a workload writes.
func (w Workload) keysFor(data [][]byte) [][]byte {
	if w.Value > 0 {
		return sizedKeys(w.Value)
	}
	return data
}

// newValue is a value of ValueBytes that begins with key and goes on with bytes that do not compress.
func newValue(rng *rand.Rand, key []byte) []byte { return valueOf(rng, key, ValueBytes) }

func valueOf(rng *rand.Rand, key []byte, size int) []byte {
	v := make([]byte, size)
	for i := copy(v, key); i < len(v); i++ {
		v[i] = byte(rng.Uint32())
	}
	return v
}

func newRand(worker int) *rand.Rand { return rand.New(rand.NewPCG(uint64(worker), 0x6b6168756e61)) }

// pairs are the keys of a transaction worker: both of a pair with one hash tag, or in two slots far apart.
func pairs(kind Kind, worker int) [][2][]byte {
	out := make([][2][]byte, pairsPerWorker)
	for i := range out {
		if kind == TxnOneSlot {
			tag := fmt.Sprintf("txn:{%d.%d}", worker, i)
			out[i] = [2][]byte{[]byte(tag + "a"), []byte(tag + "b")}
			continue
		}
		name := fmt.Sprintf("txn2:%d.%d", worker, i)
		out[i] = [2][]byte{inSlots(name+"a", 0, lowSlots), inSlots(name+"b", highSlots, slots)}
	}
	return out
}

// inSlots is a key that begins with name and whose slot is at least low and below high.
func inSlots(name string, low, high uint16) []byte {
	for n := 0; ; n++ {
		key := fmt.Sprintf("%s:%d", name, n)
		if s := slot(key); s >= low && s < high {
			return []byte(key)
		}
	}
}

// slot is the Redis Cluster slot of a key: CRC16 (XMODEM) of it, or of its hash tag, modulo 16384.
func slot(key string) uint16 {
	if _, after, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(after, "}"); ok && tag != "" {
			key = tag
		}
	}
	crc := uint16(0)
	for _, b := range []byte(key) {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return crc % slots
}
