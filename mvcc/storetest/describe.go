package storetest

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kahuna/mvcc/viewtest"
	"kahuna/op"
	"kahuna/storage"
)

// Dump writes what a store holds of names and transactions, a line for each key. It reads the stored bytes on its own, so that
// the format in which mvcc writes them is held too.
func Dump(t testing.TB, s *storage.Store) string {
	t.Helper()
	var b strings.Builder
	for _, p := range Pairs(t, s, storage.KindCurrent, storage.KindHistory, storage.KindIntent, storage.KindChunk,
		storage.KindRecord, storage.KindDue) {
		fmt.Fprintln(&b, describe(p))
	}
	return b.String()
}

func describe(p Pair) string {
	var n op.Name
	var ts op.Timestamp
	var part uint16
	var err error
	switch storage.Kind(p.Key[0]) {
	case storage.KindCurrent:
		n, err = storage.ParseCurrent(p.Key)
		return text(err, "%s %s", Name(n), version(p.Value))
	case storage.KindHistory:
		n, _, err = storage.ParseHistory(p.Key)
		return text(err, "%s older %s", Name(n), version(p.Value))
	case storage.KindIntent:
		n, err = storage.ParseIntent(p.Key)
		return text(err, "%s intent %s", Name(n), intent(p.Value))
	case storage.KindChunk:
		n, ts, part, err = storage.ParseChunk(p.Key)
		return text(err, "%s chunk %d of %s: %d bytes", Name(n), part, viewtest.Time(ts), len(p.Value)-1)
	case storage.KindRecord:
		n, ts, err = storage.ParseRecord(p.Key)
		return text(err, "txn %s at %s: %s", viewtest.Time(ts), Name(n), record(p.Value))
	case storage.KindDue:
		ts, n, err = storage.ParseDue(p.Key)
		return text(err, "due %s %s", viewtest.Time(ts), Name(n))
	}
	return fmt.Sprintf("%x: %x", p.Key, p.Value)
}

func text(err error, format string, args ...any) string {
	if err != nil {
		return "damaged: " + err.Error()
	}
	return fmt.Sprintf(format, args...)
}

// Name writes a name.
func Name(n op.Name) string {
	space := [...]string{op.SpaceKey: "key", op.SpaceLock: "lock", op.SpaceSeq: "seq", op.SpaceIdem: "idem"}[n.Space]
	if len(n.Sub) > 0 {
		return fmt.Sprintf("%s %s/%s", space, n.Key, n.Sub)
	}
	return fmt.Sprintf("%s %s", space, n.Key)
}

// version reads format 1, flags, type, timestamp, revision, then an expiry if it has one, then the value or its length.
func version(b []byte) string {
	if len(b) < 12 || b[0] != 1 {
		return fmt.Sprintf("damaged: %x", b)
	}
	flags, ts := b[1], op.Timestamp(binary.BigEndian.Uint64(b[3:]))
	rev, n := binary.Uvarint(b[11:])
	b = b[11+n:]
	if ts == 0 && flags == 4 {
		return "nothing, with an intent"
	}
	out := fmt.Sprintf("rev %d at %s", rev, viewtest.Time(ts))
	for i, word := range []string{"deleted", "norev", "with an intent", "", "", "lost"} {
		if flags>>i&1 != 0 && word != "" {
			out += " " + word
		}
	}
	if flags&16 != 0 {
		out += " until " + viewtest.Time(op.Timestamp(binary.BigEndian.Uint64(b)))
		b = b[8:]
	}
	if flags&8 != 0 {
		length, _ := binary.Uvarint(b)
		return fmt.Sprintf("%s (%d bytes in chunks)", out, length)
	}
	if flags&1 != 0 || flags&32 != 0 {
		return out + string(b)
	}
	return out + " " + Value(b)
}

// Value writes a value, or how long it is.
func Value(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("(%d bytes)", len(b))
	}
	return strconv.Quote(string(b))
}

func intent(b []byte) string {
	if len(b) < 25 || b[0] != 1 {
		return fmt.Sprintf("damaged: %x", b)
	}
	prewritten, txn := op.Timestamp(binary.BigEndian.Uint64(b[1:])), op.Timestamp(binary.BigEndian.Uint64(b[9:]))
	home, w, err := op.DecodeWrite(b[25:])
	out := fmt.Sprintf("of %s prewritten %s home %s", viewtest.Time(txn), viewtest.Time(prewritten), Name(home))
	if length := binary.BigEndian.Uint64(b[17:]); length > 0 {
		return text(err, "%s (%d bytes in chunks)", out, length)
	}
	if w.Deleted {
		return text(err, "%s deletes", out)
	}
	return text(err, "%s %s", out, Value(w.Value))
}

func record(b []byte) string {
	if len(b) == 0 || b[0] != 1 {
		return fmt.Sprintf("damaged: %x", b)
	}
	s, err := op.DecodeTxn(b[1:])
	out := text(err, "%s", Status(s.Status))
	if s.Status == op.TxnCommitted {
		out += " at " + viewtest.Time(s.At)
	}
	if s.Deadline > 0 {
		out += " deadline " + viewtest.Time(s.Deadline)
	}
	for _, n := range s.Names {
		out += ", " + Name(n)
	}
	return out
}

// Status writes what a record says.
func Status(s op.TxnStatus) string {
	return [...]string{"none", op.TxnPending: "pending", op.TxnCommitted: "committed", op.TxnAborted: "aborted"}[s]
}
