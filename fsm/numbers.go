package fsm

import (
	"encoding/binary"
	"fmt"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// A node that sends units to another node's partition numbers what it sends, so that it can send them again when it has not seen
// their end, to the same leader or to the next, and they still run once:
//
//   - A number is the sender's incarnation (a timestamp of the cluster's clock, new at each start), one of its slots, and a sequence
//     that rises in the slot. Under one slot one thing is under way at a time.
//   - The last number of each slot is kept with its results. What comes under it again is not run, and gets those. What comes under
//     a smaller one is not run either, and is Unknown: its end is not known any more.
//   - That holds for units that bounced, and for those of an entry that is a no-op, too: whoever learns that they bounced sends them
//     again under another number, and what is still on its way under this one must not run then.
//   - Of more than incarnationsMax incarnations the smallest is forgotten, and all that is not above it is Unknown from then on.

// Number is under which some units of an entry were sent.
type Number struct {
	At          int // the first of these units in the entry
	Units       int // how many there are
	Incarnation op.Timestamp
	Slot        byte
	Seq         uint64 // from 1
}

const (
	incarnationsMax  = 8192     // twice the nodes that a cluster may have: those that were started again leave theirs behind
	keptResultsBytes = 16 << 10 // of larger ones it is kept only that there were some
	keptResultsAll   = 1 << 20  // of all incarnations: where there are more than 64 of them, each may keep less
)

// keptMax is how many bytes of results are kept under one number. It follows from the log alone.
func (n *numbers) keptMax() int { return min(keptResultsBytes, keptResultsAll/max(1, len(n.last))) }

// whatNumber is under which a partition keeps numbers: behind it the incarnation and the slot. The mark of what is forgotten is
// under incarnation 0.
const whatNumber byte = 3

// numbers is what a machine keeps in memory of them: the last sequence of each slot. It is the same as in the store.
type numbers struct {
	last   map[op.Timestamp]map[byte]uint64
	forgot op.Timestamp // incarnations up to here are forgotten
}

func numberKey(id uint32, incarnation op.Timestamp, slot byte) []byte {
	k := storage.AppendPartition(nil, id, whatNumber)
	return append(binary.BigEndian.AppendUint64(k, uint64(incarnation)), slot)
}

func loadNumbers(r mvcc.Reader, id uint32) (n numbers, err error) {
	n.last = map[op.Timestamp]map[byte]uint64{}
	lo := storage.AppendPartition(nil, id, whatNumber)
	err = r.Scan(lo, storage.PrefixEnd(nil, lo), false, false, func(key, value []byte) (bool, error) {
		rest := key[len(lo):]
		if len(rest) != 9 || len(value) < 9 || value[0] != stateFormat {
			return false, fmt.Errorf("the numbers of partition %d: %w", id, mvcc.ErrDamaged)
		}
		incarnation, seq := op.Timestamp(binary.BigEndian.Uint64(rest)), binary.BigEndian.Uint64(value[1:])
		if incarnation == 0 {
			n.forgot = op.Timestamp(seq)
		} else {
			n.note(incarnation, rest[8], seq)
		}
		return true, nil
	})
	return n, err
}

func (n *numbers) note(incarnation op.Timestamp, slot byte, seq uint64) {
	slots := n.last[incarnation]
	if slots == nil {
		slots = map[byte]uint64{}
		n.last[incarnation] = slots
	}
	slots[slot] = seq
}

// known tells whether units under a number are not to be run, and then their results, of which there are count.
func (m *Machine) known(b mvcc.Reader, at *Number, count int) (results []op.Result, known bool, err error) {
	last := m.numbers.last[at.Incarnation][at.Slot]
	if at.Incarnation > m.numbers.forgot && at.Seq > last {
		return nil, false, nil
	}
	results = make([]op.Result, count)
	for i := range results {
		results[i].Status = op.Unknown
	}
	if at.Seq != last {
		return results, true, nil
	}
	value, found, err := b.Get(numberKey(m.id, at.Incarnation, at.Slot))
	if err != nil || !found || len(value) == 9 {
		return results, true, err
	}
	rest := clip(value[9:])
	kept := make([]op.Result, 0, count)
	for len(rest) > 0 {
		var r op.Result
		if r, rest, err = op.DecodeResult(rest); err != nil {
			return nil, false, fmt.Errorf("the results under a number of partition %d: %w", m.id, mvcc.ErrDamaged)
		}
		kept = append(kept, r)
	}
	if len(kept) != count {
		return results, true, nil // what comes is not what came
	}
	return kept, true, nil
}

// remember keeps the results of units under their number, as far as there is room for them beside what the entry has written.
func (m *Machine) remember(b *entryBatch, at *Number, results []op.Result) {
	value := binary.BigEndian.AppendUint64([]byte{stateFormat}, at.Seq)
	for i := range results {
		if value = op.AppendResult(value, &results[i]); len(value) > m.numbers.keptMax() || !b.fits(len(value)+2*mvcc.RowBytes) {
			value = value[:9]
			break
		}
	}
	if m.numbers.last[at.Incarnation] == nil && len(m.numbers.last) >= incarnationsMax {
		m.forgetSmallest(b)
	}
	b.Set(numberKey(m.id, at.Incarnation, at.Slot), value)
	m.numbers.note(at.Incarnation, at.Slot, at.Seq)
}

func (m *Machine) forgetSmallest(b mvcc.Batch) {
	smallest := op.MaxTimestamp
	for incarnation := range m.numbers.last {
		smallest = min(smallest, incarnation)
	}
	for slot := range m.numbers.last[smallest] {
		b.Delete(numberKey(m.id, smallest, slot))
	}
	delete(m.numbers.last, smallest)
	m.numbers.forgot = max(m.numbers.forgot, smallest)
	b.Set(numberKey(m.id, 0, 0), binary.BigEndian.AppendUint64([]byte{stateFormat}, uint64(m.numbers.forgot)))
}
