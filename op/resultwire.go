package op

import "math"

// The fields of a result in the order they travel between nodes.
func (r *Result) wire(w *wire) {
	w.byte((*byte)(&r.Status))
	w.bool(&r.Done)
	w.bool(&r.Found)
	w.int(&r.Int)
	w.int(&r.Last)
	w.int(&r.Step)
	w.uint(&r.Rev)
	w.time(&r.TS)
	w.time(&r.ExpireAt)
	w.bytes(&r.Value)
	list(w, &r.Items, w.item)
	optional(w, &r.Next, w.position)
	if !w.enter() {
		return
	}
	list(w, &r.Sub, func(s *Result) { s.wire(w) })
	w.nested--
	optional(w, &r.Lock, w.lockState)
	optional(w, &r.Seq, w.seqState)
	optional(w, &r.Intent, w.intent)
	optional(w, &r.Txn, w.txnState)
}

func (w *wire) item(i *Item) {
	w.bytes(&i.Key)
	w.bytes(&i.Value)
	w.uint(&i.Rev)
	w.time(&i.TS)
	w.time(&i.ExpireAt)
	w.bool(&i.Deleted)
	w.lostAndType(i)
}

// lostAndType is one number: before there were types it was 0 or 1, for Lost.
func (w *wire) lostAndType(i *Item) {
	v := uint64(i.Type) << 1
	if i.Lost {
		v |= 1
	}
	w.uint(&v)
	if !w.dec {
		return
	}
	if v > 2*math.MaxUint8+1 {
		w.fail()
	}
	i.Lost, i.Type = v&1 != 0, byte(v>>1)
}

func (w *wire) lockState(l *LockState) {
	w.bool(&l.Shared)
	w.uint32(&l.Permits)
	list(w, &l.Holds, func(h *Hold) {
		w.bytes(&h.Owner)
		w.time(&h.Token)
		w.time(&h.Granted)
		w.int(&h.TTLMilli)
	})
}

func (w *wire) seqState(s *SeqState) {
	w.seqSettings(&s.SeqSettings)
	w.int(&s.Last)
	w.bool(&s.Started)
	w.time(&s.Created)
}

func (w *wire) intent(i *Intent) {
	w.time(&i.Txn)
	w.name(&i.Home)
	w.name(&i.Name)
	w.time(&i.Prewritten)
}

func (w *wire) txnState(t *TxnState) {
	w.byte((*byte)(&t.Status))
	w.time(&t.At)
	w.time(&t.Deadline)
	list(w, &t.Names, w.name)
}

// The states of locks, sequences and transactions are stored in the same form.

// AppendLock appends the stored form of a lock's state.
func AppendLock(dst []byte, l *LockState) []byte { return appendOne(dst, l, (*wire).lockState) }

// DecodeLock reads it.
func DecodeLock(b []byte) (LockState, error) { return decodeOne(b, (*wire).lockState) }

// AppendSeq appends the stored form of a sequence's state.
func AppendSeq(dst []byte, s *SeqState) []byte { return appendOne(dst, s, (*wire).seqState) }

// DecodeSeq reads it.
func DecodeSeq(b []byte) (SeqState, error) { return decodeOne(b, (*wire).seqState) }

// AppendTxn appends the stored form of a transaction's record.
func AppendTxn(dst []byte, t *TxnState) []byte { return appendOne(dst, t, (*wire).txnState) }

// DecodeTxn reads it.
func DecodeTxn(b []byte) (TxnState, error) { return decodeOne(b, (*wire).txnState) }

func appendOne[T any](dst []byte, v *T, fields func(*wire, *T)) []byte {
	w := wire{b: dst}
	fields(&w, v)
	return w.b
}

func decodeOne[T any](b []byte, fields func(*wire, *T)) (v T, err error) {
	w := wire{b: b, dec: true}
	if fields(&w, &v); w.err != nil || len(w.b) > 0 {
		return v, ErrMalformed
	}
	return v, nil
}

// AppendWrite appends the stored form of an intent's home name and write.
func AppendWrite(dst []byte, home Name, v *Write) []byte {
	w := wire{b: dst}
	w.name(&home)
	w.write(v)
	return w.b
}

// DecodeWrite reads it.
func DecodeWrite(b []byte) (home Name, v Write, err error) {
	w := wire{b: b, dec: true}
	w.name(&home)
	w.write(&v)
	if w.err != nil || len(w.b) > 0 {
		return home, v, ErrMalformed
	}
	return home, v, nil
}
