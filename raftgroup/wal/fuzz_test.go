package wal

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// someFrame is a frame with a record of each kind.
func someFrame(seed uint32) []byte {
	b := newBatch(buffers{})
	g := &Group{id: 7}
	e := raft.Log{Index: 5, Term: 2, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(1, 2)}
	b.addEntries(g, []*raft.Log{&e}, nil)
	b.addCopy(g, &e)
	b.addDelete(g, kindDeletePrefix, 3)
	b.addDelete(g, kindDeleteSuffix, 6)
	b.addSet(g, "key", []byte("value"))
	b.addRemove(g)
	frame{seq: 9, prev: 8, body: uint32(len(b.buf) - frameHeaderBytes), records: uint32(len(b.refs))}.put(b.buf, seed)
	return b.buf
}

// FuzzFrame: any bytes decode or are refused without a panic, what is decoded encodes to the same bytes, and nothing but the
// exact bytes of a frame passes when they differ in a bit.
func FuzzFrame(f *testing.F) {
	f.Add(someFrame(1), uint32(1))
	f.Add(someFrame(2)[:50], uint32(2))
	f.Add([]byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, seed uint32) {
		h, err := decodeFrame(b, seed)
		if err != nil {
			return
		}
		again := newBatch(buffers{})
		err = decodeBody(h, b[frameHeaderBytes:], func(_ int, r record) error { return reencode(again, r) })
		if err != nil {
			return
		}
		h.put(again.buf, seed)
		if n := frameHeaderBytes + int(h.body); !bytes.Equal(again.buf, b[:n]) {
			t.Fatalf("decoded %x, encoded %x", b[:n], again.buf)
		}
	})
}

func reencode(b *batch, r record) error {
	g := &Group{id: r.group}
	switch r.kind {
	case kindEntry, kindCopy:
		var e raft.Log
		if err := decodeEntry(r.payload, &e); err != nil {
			return err
		}
		b.buf = appendEntry(b.buf, r.kind, r.group, &e)
	case kindDeletePrefix, kindDeleteSuffix:
		index, err := decodeBound(r.payload)
		if err != nil {
			return err
		}
		b.addDelete(g, r.kind, index)
	case kindSet:
		key, val, err := decodeSet(r.payload)
		if err != nil {
			return err
		}
		b.addSet(g, key, val)
	case kindRemove:
		b.buf = appendRemove(b.buf, r.group)
	}
	return nil
}

// FuzzRecord has no checksum in the way, so it reaches the decoders of all payloads, and the replay of them.
func FuzzRecord(f *testing.F) {
	body := someFrame(1)[frameHeaderBytes:]
	for len(body) > 0 {
		r, err := decodeRecord(body, true)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(r.kind), r.payload, uint64(4))
		body = body[r.size():]
	}
	f.Fuzz(func(t *testing.T, k byte, payload []byte, index uint64) {
		seg := &segment{number: 1}
		g := &Group{id: 7}
		if index > 0 {
			g.entries.put(index, slot{seg: seg, term: 1, size: 10})
		}
		r := record{kind: kind(k), group: 7, payload: payload}
		var e raft.Log
		if err := decodeEntry(payload, &e); err == nil && (e.Index > index+1000 || e.Index+1000 < index) {
			return // a hole that only costs memory
		}
		if err := g.replay(r, seg, 0); err != nil {
			return
		}
		live := len(g.keys)
		for _, s := range g.entries.slots {
			if s.seg != nil {
				live++
			}
		}
		if seg.live != live {
			t.Fatalf("%d live, counted %d", seg.live, live)
		}
	})
}

func TestFrameFlips(t *testing.T) {
	good := someFrame(3)
	valid := func(b []byte, seed uint32) bool {
		h, err := decodeFrame(b, seed)
		return err == nil && decodeBody(h, b[frameHeaderBytes:], func(int, record) error { return nil }) == nil
	}
	if !valid(good, 3) || valid(good, 4) {
		t.Fatal("a frame is valid in its own segment, and there only")
	}
	for i := range len(good) * 8 {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		if valid(b, 3) {
			t.Fatalf("bit %d flipped and not seen", i)
		}
	}
	for n := range good {
		if valid(good[:n], 3) {
			t.Fatalf("valid with %d bytes", n)
		}
	}
}

// TestFormatIsFixed holds the bytes on disk: old logs must stay readable.
func TestFormatIsFixed(t *testing.T) {
	for _, c := range []struct {
		what string
		b    []byte
		want string
	}{
		{"frame", someFrame(0), "f74254a30100000009000000000000000800000000000000b8000000060000009952d8d3005a1bad28000000010700000005000000000000000200000000000000000100000000000000020000000400000064617461657874d337ab1e28000000020700000005000000000000000200000000000000000100000000000000020000000400000064617461657874a54f74320800000003070000000300000000000000d4196bc80800000004070000000600000000000000682811700a000000050700000003006b657976616c756581b18232000000000607000000"},
		{"segment header", segmentHeader{number: 1, salt: 2, size: 3}.encode(), "52414654534547a101000000000000000100000000000000020000000000000003000000000000000000000000000000000000000000000000000000739ea06f"},
		{"mark", mark{seq: 1, first: 2, clean: true}.encode(), "524146544d524ba2010000000100000001000000000000000200000000000000000000000000000000000000000000000000000000000000000000000c58314f"},
	} {
		if got := hex.EncodeToString(c.b); got != c.want {
			t.Errorf("%s: %s", c.what, got)
		}
	}
}
