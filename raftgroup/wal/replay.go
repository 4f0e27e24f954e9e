package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// replay reads all segments in order and rebuilds the state. It changes no file.
type replay struct {
	log     *Log
	started bool   // a frame was found
	last    uint64 // its sequence
	current int    // the segment with the last frame
	torn    *tear
}

// tear is a bad frame that may be a torn tail: nothing valid was found behind it yet.
type tear struct {
	seg    *segment
	off    int64
	end    int64 // behind the last byte that is not zero
	reason string
}

func (r *replay) run() error {
	var buf []byte
	for i, seg := range r.log.segs {
		if int64(cap(buf)) < seg.size.Load() {
			buf = make([]byte, seg.size.Load())
		}
		buf = buf[:seg.size.Load()]
		if _, err := io.ReadFull(io.NewSectionReader(seg.f, 0, seg.size.Load()), buf); err != nil {
			return fmt.Errorf("wal: reading segment %d: %w", seg.number, err)
		}
		if err := r.segment(seg, buf); err != nil {
			return err
		}
		if seg.off > segmentHeaderBytes {
			r.current = i
		}
	}
	return nil
}

// segment replays the frames of one segment. Behind a torn frame there must be nothing at all.
func (r *replay) segment(seg *segment, b []byte) error {
	if r.torn != nil {
		return r.nothing(seg, b)
	}
	for {
		rest := b[seg.off:]
		if len(bytes.TrimLeft(rest[:min(len(rest), frameHeaderBytes)], "\x00")) == 0 && end(rest) == 0 {
			return nil
		}
		n, err := r.frame(seg, rest)
		var corrupt *CorruptError
		if errors.Is(err, ErrNewerFormat) || errors.As(err, &corrupt) {
			return err
		}
		if err != nil {
			return r.tear(seg, rest, n, err)
		}
		seg.off += n
	}
}

// frame replays the frame at the start of b and returns its length, also of a bad one if its header is good, else 0. An
// ordinary error may mean a torn frame.
func (r *replay) frame(seg *segment, b []byte) (int64, error) {
	h, err := decodeFrame(b, seg.seed)
	if err != nil {
		return 0, err
	}
	if h.seq <= h.prev || r.started && h.prev != r.last {
		return 0, r.corrupt(seg, fmt.Sprintf("batch %d after %d, found after %d", h.seq, h.prev, r.last))
	}
	n := int64(frameHeaderBytes) + int64(h.body)
	base := seg.off + frameHeaderBytes
	err = decodeBody(h, b[frameHeaderBytes:], func(off int, rec record) error {
		if err := r.log.group(rec.group).replay(rec, seg, base+int64(off)); err != nil {
			return &CorruptError{Segment: seg.number, Offset: base + int64(off), Reason: err.Error()}
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	r.started, r.last = true, h.seq
	return n, nil
}

func (r *replay) corrupt(seg *segment, reason string) error {
	return &CorruptError{Segment: seg.number, Offset: seg.off, Reason: reason}
}

// tear decides what can be decided about a bad frame: with a later frame header in this segment, or bytes behind its own end, it
// is corruption.
func (r *replay) tear(seg *segment, b []byte, frameBytes int64, cause error) error {
	if at := r.laterFrame(seg, b[1:]); at >= 0 {
		return r.corrupt(seg, fmt.Sprintf("%v, with a later batch behind it at byte %d", cause, seg.off+1+at))
	}
	n := end(b)
	if frameBytes > 0 && n > frameBytes {
		return r.corrupt(seg, fmt.Sprintf("%v, with bytes behind its end", cause))
	}
	r.torn = &tear{seg: seg, off: seg.off, end: seg.off + n, reason: cause.Error()}
	return nil
}

// nothing checks a segment behind a torn frame.
func (r *replay) nothing(seg *segment, b []byte) error {
	if end(b[segmentHeaderBytes:]) == 0 {
		return nil
	}
	return &CorruptError{Segment: r.torn.seg.number, Offset: r.torn.off, Reason: fmt.Sprintf("%s, and segment %d behind it is not empty", r.torn.reason, seg.number)}
}

// laterFrame returns where in b the next frame header with a sequence above the last is, or -1.
func (r *replay) laterFrame(seg *segment, b []byte) int64 {
	for from := 0; ; {
		i := bytes.Index(b[from:], frameMagic[:])
		if i < 0 {
			return -1
		}
		from += i
		if h, err := decodeFrame(b[from:], seg.seed); (err == nil || errors.Is(err, ErrNewerFormat)) && h.seq > r.last {
			return int64(from)
		}
		from++
	}
}

// end returns the length of b without the zeros at its end.
func end(b []byte) int64 {
	const chunk = 4096
	var zeros [chunk]byte
	for len(b) >= chunk && bytes.Equal(b[len(b)-chunk:], zeros[:]) {
		b = b[:len(b)-chunk]
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return int64(len(b))
}

// check holds what was found against the mark, and the state against invariant 4 of the package.
func (r *replay) check() error {
	m := r.log.mark.mark
	switch {
	case r.last < m.seq:
		return &LostTailError{Last: r.last, Mark: m.seq}
	case m.clean && r.torn != nil:
		return r.corrupt(r.torn.seg, r.torn.reason+", in a log that was closed cleanly")
	case m.clean && r.last != m.seq:
		return &CorruptError{Reason: fmt.Sprintf("mark: closed cleanly at batch %d, but the log goes on to %d", m.seq, r.last)}
	}
	for _, g := range r.log.sortedGroups() {
		if at, ok := g.entries.hole(); ok {
			first, last := g.bounds()
			return &CorruptError{Segment: r.log.segs[0].number, Reason: fmt.Sprintf("group %d: entry %d of %d..%d is missing", g.id, at, first, last)}
		}
	}
	return nil
}

// cutTail overwrites a torn frame with zeros.
func (r *replay) cutTail() error {
	t := r.torn
	if t == nil {
		return nil
	}
	if _, err := t.seg.f.WriteAt(make([]byte, t.end-t.off), t.off); err != nil {
		return err
	}
	if err := r.log.o.Sync(t.seg.f); err != nil {
		return err
	}
	r.log.o.Logger.Warn().Uint64("segment", t.seg.number).Int64("offset", t.off).Int64("bytes", t.end-t.off).
		Str("reason", t.reason).Msg("cut an incomplete batch off the end of the write-ahead log")
	return nil
}

// replay does what a record says. off is where the record is in the segment.
func (g *Group) replay(rec record, seg *segment, off int64) error {
	var o op
	at := ref{size: uint32(rec.size())}
	switch o.kind = rec.kind; rec.kind {
	case kindEntry, kindCopy:
		var e raft.Log
		if err := decodeEntry(rec.payload, &e); err != nil {
			return err
		}
		o.index, at.term = e.Index, e.Term
	case kindDeletePrefix, kindDeleteSuffix:
		index, err := decodeBound(rec.payload)
		if err != nil {
			return err
		}
		o.index = index
	case kindSet:
		key, val, err := decodeSet(rec.payload)
		if err != nil {
			return err
		}
		o.key, o.val = key, append([]byte(nil), val...)
	case kindRemove:
	}
	return g.apply(&o, []ref{at}, seg, off)
}
