package sequencer

import (
	"encoding/binary"
	"fmt"

	"kahuna/mvcc"
	"kahuna/op"
)

// Next takes Count values. A missing sequence is made, with the defaults. With an idempotency key the answer is remembered
// for IdemMilli; an answer that took nothing is not, and being asked again does not prolong it.
// BadSettings: Count is 0, or IdemMilli is not positive.
func Next(v mvcc.View, o *op.SeqNext) (op.Result, error) {
	if o.Count == 0 || len(o.Idem) > 0 && o.IdemMilli <= 0 {
		return op.Result{Status: op.BadSettings}, nil
	}
	seq, found, err := load(v, o.Name)
	if err != nil {
		return op.Result{}, err
	}
	s := state{seq}
	if !found {
		s = state{op.SeqState{SeqSettings: Asked{}.Settings(), Created: v.Now()}}
	} else if len(o.Idem) > 0 {
		if res, known, err := recall(v, o, s.Created); err != nil || known {
			return res, err
		}
	}
	first, last, ok := s.take(o.Count)
	if !ok {
		return op.Result{Status: op.Exhausted}, nil
	}
	if err := save(v, o.Name, &s.SeqState); err != nil {
		return op.Result{}, err
	}
	a := answer{created: s.Created, count: o.Count, first: first, last: last, step: s.Step}
	if len(o.Idem) > 0 {
		err = a.remember(v, o)
	}
	return a.result(), err
}

// answer is what a request with an idempotency key was told, by the incarnation of the sequence made at created.
type answer struct {
	created op.Timestamp
	count   uint32
	first   int64
	last    int64
	step    int64
}

const answerBytes = 8 + 4 + 3*8

func (a answer) result() op.Result {
	return op.Result{Done: true, Int: a.first, Last: a.last, Step: a.step}
}

// recall looks for the answer that an idempotency key got before, from this incarnation of the sequence.
func recall(v mvcc.View, o *op.SeqNext, created op.Timestamp) (res op.Result, known bool, err error) {
	rec, found, err := v.Get(idem(o))
	if err != nil || !found {
		return op.Result{}, false, err
	}
	a, err := decodeAnswer(rec.Value)
	switch {
	case err != nil:
		return op.Result{}, false, fmt.Errorf("%w: key %q of sequence %q", err, o.Idem, o.Name)
	case a.created != created:
		return op.Result{}, false, nil
	case a.count != o.Count:
		return op.Result{Status: op.IdemMismatch}, true, nil
	}
	return a.result(), true, nil
}

func (a answer) remember(v mvcc.View, o *op.SeqNext) error {
	_, err := v.Put(idem(o), mvcc.Record{
		Type:     mvcc.TypeString,
		NoRev:    true,
		ExpireAt: v.Now().Add(o.IdemMilli),
		Value:    a.encode(),
	})
	return err
}

func idem(o *op.SeqNext) op.Name { return op.Name{Space: op.SpaceIdem, Key: o.Name, Sub: o.Idem} }

func (a answer) encode() []byte {
	b := make([]byte, 0, answerBytes)
	b = binary.BigEndian.AppendUint64(b, uint64(a.created))
	b = binary.BigEndian.AppendUint32(b, a.count)
	b = binary.BigEndian.AppendUint64(b, uint64(a.first))
	b = binary.BigEndian.AppendUint64(b, uint64(a.last))
	return binary.BigEndian.AppendUint64(b, uint64(a.step))
}

func decodeAnswer(b []byte) (answer, error) {
	if len(b) != answerBytes {
		return answer{}, ErrDamaged
	}
	word := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	return answer{
		created: op.Timestamp(word(0)),
		count:   binary.BigEndian.Uint32(b[8:]),
		first:   word(12),
		last:    word(20),
		step:    word(28),
	}, nil
}
