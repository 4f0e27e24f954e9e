// Package sequencer is the rules of sequences, as pure functions over a View. The same functions run in a log entry, in a
// Multi and on a transaction's working set.
//
// A sequence is one record, whose value is the encoded op.SeqState, written NOREV: its history has no values. What was
// answered to a request with an idempotency key is a record of its own that expires.
//
// What holds:
//
//  1. A value is given out once, and values come one Step apart, unless Set moves the sequence or it cycles. What a call
//     answers is one such run, never cut short: a run that does not fit gives nothing.
//  2. A value given out is between Min and Max. No arithmetic overflows, at any border of int64.
//  3. The same idempotency key gets the same answer until it expires, as long as the sequence is not deleted. A sequence that
//     is made again remembers nothing.
package sequencer

import (
	"errors"
	"fmt"

	"kahuna/mvcc"
	"kahuna/op"
)

// ErrDamaged says that the stored state of a sequence, or of an idempotency key, can't be. It is a fault of the store, never
// an answer.
var ErrDamaged = errors.New("sequencer: the stored state is damaged")

// Run runs an operation on a sequence; handled is false for any other.
func Run(v mvcc.View, o op.Op) (res op.Result, handled bool, err error) {
	switch o := o.(type) {
	case *op.SeqCreate:
		res, err = Create(v, o)
	case *op.SeqNext:
		res, err = Next(v, o)
	case *op.SeqSet:
		res, err = Set(v, o)
	case *op.SeqDelete:
		res, err = Delete(v, o)
	case *op.SeqGet:
		res, err = Get(v, o)
	default:
		return op.Result{}, false, nil
	}
	if err != nil {
		return op.Result{}, true, err
	}
	return res, true, nil
}

// Create makes a sequence. BadSettings when the settings contradict themselves, whether it exists or not.
func Create(v mvcc.View, o *op.SeqCreate) (op.Result, error) {
	if !Valid(o.SeqSettings) {
		return op.Result{Status: op.BadSettings}, nil
	}
	s, found, err := load(v, o.Name)
	switch {
	case err != nil:
		return op.Result{}, err
	case found && s.SeqSettings != o.SeqSettings:
		return op.Result{Status: op.Exists}, nil
	case found:
		return op.Result{Done: true}, nil
	}
	s = op.SeqState{SeqSettings: o.SeqSettings, Created: v.Now()}
	return op.Result{Done: true}, save(v, o.Name, &s)
}

// Set makes a value the last one given out, so that the next is one Step further. It, or the one after it, must be within the
// bounds: so a sequence can be set to just before its first value. Without Force it must not lie before the last value
// given out (or, if none was, before the place from which Start is next); it may be where it is already.
func Set(v mvcc.View, o *op.SeqSet) (op.Result, error) {
	seq, found, err := load(v, o.Name)
	if err != nil {
		return op.Result{}, err
	}
	if !found {
		return op.Result{Status: op.NotFound}, nil
	}
	s := state{seq}
	if !s.stands(o.Value) {
		return op.Result{Status: op.OutOfBounds}, nil
	}
	if !o.Force && s.behind(o.Value) {
		return op.Result{Status: op.WrongDirection}, nil
	}
	s.Last, s.Started = o.Value, true
	return op.Result{Done: true}, save(v, o.Name, &s.SeqState)
}

// Delete deletes a sequence.
func Delete(v mvcc.View, o *op.SeqDelete) (op.Result, error) {
	_, found, err := v.Get(op.Seq(o.Name))
	if err != nil || !found {
		return op.Result{}, err
	}
	_, err = v.Delete(op.Seq(o.Name))
	return op.Result{Done: true}, err
}

// Get reads a sequence.
func Get(v mvcc.View, o *op.SeqGet) (op.Result, error) {
	s, found, err := load(v, o.Name)
	if err != nil || !found {
		return op.Result{}, err
	}
	return op.Result{Found: true, Seq: &s}, nil
}

// Decode reads the state of a sequence from its record.
func Decode(rec mvcc.Record) (op.SeqState, error) {
	seq, err := op.DecodeSeq(rec.Value)
	s := state{seq}
	if err != nil || rec.Type != mvcc.TypeString || !Valid(s.SeqSettings) || s.Started && !s.stands(s.Last) {
		return op.SeqState{}, ErrDamaged
	}
	return s.SeqState, nil
}

func load(v mvcc.View, name []byte) (op.SeqState, bool, error) {
	rec, found, err := v.Get(op.Seq(name))
	if err != nil || !found {
		return op.SeqState{}, false, err
	}
	s, err := Decode(rec)
	if err != nil {
		return op.SeqState{}, false, fmt.Errorf("%w: sequence %q", err, name)
	}
	return s, true, nil
}

func save(v mvcc.View, name []byte, s *op.SeqState) error {
	_, err := v.Put(op.Seq(name), mvcc.Record{Type: mvcc.TypeString, Value: op.AppendSeq(nil, s), NoRev: true})
	return err
}
