package mvcc

import (
	"bytes"
	"encoding/binary"
	"errors"

	"kahuna/op"
	"kahuna/storage"
)

// An intent is what a transaction would leave at a name. Its stored form: format, prewrite timestamp, transaction, length of a
// value in chunks, home name, then the write in op's form. The chunks of a large value bear the prewrite timestamp until the
// intent is resolved: the store takes no value of such a size, and no version of the name has that timestamp.
//
// One that guards leaves nothing: it keeps others from writing where its transaction has only read, and hinders no read.
type intent struct {
	op.Intent
	write  op.Write
	chunks uint64
	guards bool
}

const guardFormat = 2 // of an intent that guards; its write is empty

const intentHeadBytes = 25

func (i *intent) encode() []byte {
	b := []byte{recordFormat}
	if i.guards {
		b[0] = guardFormat
	}
	b = binary.BigEndian.AppendUint64(b, uint64(i.Prewritten))
	b = binary.BigEndian.AppendUint64(b, uint64(i.Txn))
	b = binary.BigEndian.AppendUint64(b, i.chunks)
	return op.AppendWrite(b, i.Home, &i.write)
}

// decodeIntent reads an intent, without the value if that stands in chunks. It keeps nothing of n.
func decodeIntent(n op.Name, b []byte) (i intent, err error) {
	if len(b) < intentHeadBytes || b[0] != recordFormat && b[0] != guardFormat {
		return i, ErrDamaged
	}
	i.guards = b[0] == guardFormat
	i.Prewritten = op.Timestamp(binary.BigEndian.Uint64(b[1:]))
	i.Txn = op.Timestamp(binary.BigEndian.Uint64(b[9:]))
	i.chunks = binary.BigEndian.Uint64(b[17:])
	i.Name = op.Name{Space: n.Space, Key: bytes.Clone(n.Key), Sub: bytes.Clone(n.Sub)}
	if i.Home, i.write, err = op.DecodeWrite(b[intentHeadBytes:]); err != nil {
		return i, ErrDamaged
	}
	return i, nil
}

func loadIntent(r Reader, n op.Name) (intent, error) {
	b, ok, err := r.Get(storage.AppendIntent(nil, n))
	if err != nil {
		return intent{}, err
	}
	if !ok {
		return intent{}, ErrDamaged
	}
	return decodeIntent(n, b)
}

// blocked is the error that an operation of another transaction ends with at a name with an intent.
func blocked(r Reader, n op.Name) error {
	i, err := loadIntent(r, n)
	if err != nil {
		return err
	}
	return &IntentError{Intent: i.Intent}
}

// undecided is the error that a read ends with at a name with an intent of another transaction that may become a version below a timestamp.
// One that was laid later commits above that.
func undecided(r Reader, n op.Name, txn op.TxnID, below op.Timestamp) error {
	i, err := loadIntent(r, n)
	if err != nil || i.guards || i.Txn == txn || i.Prewritten >= below {
		return err
	}
	return &IntentError{Intent: i.Intent}
}

// ErrConflict says that a transaction can't write or keep what it wanted: somebody wrote after its start.
var ErrConflict = errors.New("mvcc: a newer version stands in the transaction's way")

// Admit tells whether a transaction may lay its intent at a name: it ends with ErrConflict when a version newer than
// since stands there, and with IntentError when another transaction was first. Else it gives an upper bound of
// what laying it puts into the batch.
//
// since is the timestamp of what the transaction saw of the name.
func Admit(r Reader, txn op.TxnID, since op.Timestamp, home op.Name, write *op.Write) (bytes int, err error) {
	n := write.Name
	cur, _, err := load(r, n)
	if err != nil {
		return 0, err
	}
	var was intent
	if cur.intent {
		if was, err = loadIntent(r, n); err != nil {
			return 0, err
		}
		if was.Txn != txn {
			return 0, &IntentError{Intent: was.Intent}
		}
	} else if cur.TS > since {
		return 0, ErrConflict
	}
	keys := 2 + int(chunkCount(uint64(len(write.Value)))) + int(chunkCount(was.chunks))
	return len(cur.Value) + len(write.Value) + rowBytes(n, keys+1) + rowBytes(home, 1), nil
}

// Lay puts an intent that was admitted at its name. Laying it again keeps its prewrite timestamp: that must stay below the
// commit timestamp, which may have been asked for meanwhile.
func (w Writer) Lay(now op.Timestamp, txn op.TxnID, home op.Name, write op.Write) error {
	cur, _, err := load(w.Batch, write.Name)
	if err != nil {
		return err
	}
	i := intent{Intent: op.Intent{Txn: txn, Home: home, Prewritten: now}, write: write}
	return w.lay(cur, &i)
}

// Guard puts an intent that guards at a name without one.
func (w Writer) Guard(now op.Timestamp, txn op.TxnID, home, n op.Name) error {
	cur, _, err := load(w.Batch, n)
	if err != nil {
		return err
	}
	return w.lay(cur, &intent{Intent: op.Intent{Txn: txn, Home: home, Prewritten: now}, write: op.Write{Name: n}, guards: true})
}

func (w Writer) lay(cur stored, i *intent) error {
	n := i.write.Name
	if cur.intent {
		was, err := loadIntent(w.Batch, n)
		if err != nil {
			return err
		}
		i.Prewritten = was.Prewritten
		w.dropChunks(n, was.Prewritten, was.chunks)
	} else {
		w.countIntents(1)
	}
	if value := i.write.Value; len(value) > inlineBytesMax {
		w.putChunks(n, i.Prewritten, value)
		i.chunks, i.write.Value = uint64(len(value)), nil
	}
	w.Batch.Set(storage.AppendIntent(nil, n), i.encode())
	cur.intent = true
	w.Batch.Set(storage.AppendCurrent(nil, n), cur.encode(make([]byte, 0, cur.encodedBytes())))
	return nil
}

// Resolve ends a transaction's intent at a name: it becomes a version at a timestamp, or is removed. It tells whether there
// was one; doing it again is a no-op. ErrNoRoom: nothing was done.
func (w Writer) Resolve(n op.Name, txn op.TxnID, committed bool, at op.Timestamp) (bool, error) {
	cur, _, err := load(w.Batch, n)
	if err != nil || !cur.intent {
		return false, err
	}
	i, err := loadIntent(w.Batch, n)
	if err != nil || i.Txn != txn {
		return false, err
	}
	bytes := replaceBytes(n, &cur, len(i.write.Value)+int(i.chunks)) + rowBytes(n, 2+int(chunkCount(i.chunks)))
	if err := w.room(bytes); err != nil {
		return false, err
	}
	if committed && i.chunks > 0 {
		if i.write.Value, err = readChunks(w.Batch, n, i.Prewritten, i.chunks); err != nil {
			return false, err
		}
	}
	w.dropChunks(n, i.Prewritten, i.chunks)
	w.countIntents(-1)
	w.Batch.Delete(storage.AppendIntent(nil, n))
	cur.intent = false
	// The deletion of what is not there, because its deletion was collected meanwhile, leaves nothing: see collect.go, 3.
	if committed && !i.guards && !(i.write.Deleted && cur.TS == 0) {
		return true, w.replace(n, cur, true, i.version(cur, at))
	}
	if cur.TS == 0 {
		w.Batch.Delete(storage.AppendCurrent(nil, n))
		return true, nil
	}
	w.Batch.Set(storage.AppendCurrent(nil, n), cur.encode(make([]byte, 0, cur.encodedBytes())))
	return true, nil
}

// version is what the intent becomes on top of the current version.
func (i *intent) version(cur stored, at op.Timestamp) Record {
	r := Record{TS: at, Rev: cur.Rev + 1, Type: Type(i.write.Type), Deleted: i.write.Deleted, NoRev: i.write.NoRev,
		ExpireAt: i.write.ExpireAt, Value: i.write.Value}
	if i.write.KeepRev {
		r.Rev = cur.Rev
	}
	return r
}

// Unchanged tells whether a name still has the version that a transaction saw, at its commit timestamp. An intent of another
// transaction, which might commit below that, is an IntentError.
func Unchanged(r Reader, seen op.Seen, txn op.TxnID) (bool, error) {
	cur, _, err := load(r, seen.Name)
	if err != nil {
		return false, err
	}
	if cur.intent {
		if err := undecided(r, seen.Name, txn, op.MaxTimestamp); err != nil {
			return false, err
		}
	}
	return cur.TS == seen.TS, nil
}

// Intents goes through the intents on names of a space, from a position on.
func Intents(r Reader, sp op.Space, from op.Position, fn func(op.Intent) (more bool, err error)) error {
	lo, hi := storage.Bounds(storage.KindIntent, sp, from, op.Position{})
	return r.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		n, err := storage.ParseIntent(key)
		if err != nil {
			return false, err
		}
		i, err := decodeIntent(n, value)
		if err != nil {
			return false, err
		}
		return fn(i.Intent)
	})
}
