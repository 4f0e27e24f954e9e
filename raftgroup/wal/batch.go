package wal

import (
	"github.com/hashicorp/raft"
)

// batch gathers calls until the writer takes it. Calls add to the last batch of the queue under Log.mu; then it is the writer's alone,
// until done is closed; after that err and moved are read-only.
type batch struct {
	buf  []byte // space for the frame header, then records
	refs []ref  // one for each record
	ops  []op   // one for each call, in order
	done chan struct{}
	err  error
	// moved is where the urgent calls went, when the rest of the batch was refused for lack of space.
	moved *batch
}

// ref is a record in the buffer.
type ref struct {
	off, size uint32
	term      uint64 // of an entry
}

// op is what one call does to the state once its records are durable.
type op struct {
	kind     kind
	g        *Group
	from, to int        // its records: refs[from:to]
	index    uint64     // entries: the first; deletions: the bound
	logs     []raft.Log // entries to be cached, or nil
	key      string
	val      []byte
}

// buffers are reused from batch to batch.
type buffers struct {
	buf  []byte
	refs []ref
	ops  []op
}

func newBatch(b buffers) *batch {
	buf := append(b.buf[:0], make([]byte, frameHeaderBytes)...)
	return &batch{buf: buf, refs: b.refs[:0], ops: b.ops[:0], done: make(chan struct{})}
}

// took notes a record that was appended to buf from start on.
func (b *batch) took(start int, term uint64) {
	b.refs = append(b.refs, ref{off: uint32(start), size: uint32(len(b.buf) - start), term: term})
}

func (b *batch) addEntries(g *Group, logs []*raft.Log, cached []raft.Log) {
	from := len(b.refs)
	for _, e := range logs {
		start := len(b.buf)
		b.buf = appendEntry(b.buf, kindEntry, g.id, e)
		b.took(start, e.Term)
	}
	b.ops = append(b.ops, op{kind: kindEntry, g: g, from: from, to: len(b.refs), index: logs[0].Index, logs: cached})
}

func (b *batch) addCopy(g *Group, e *raft.Log) {
	start := len(b.buf)
	b.buf = appendEntry(b.buf, kindCopy, g.id, e)
	b.one(start, e.Term, op{kind: kindCopy, g: g, index: e.Index})
}

func (b *batch) addDelete(g *Group, k kind, index uint64) {
	start := len(b.buf)
	b.buf = appendBound(b.buf, k, g.id, index)
	b.one(start, 0, op{kind: k, g: g, index: index})
}

func (b *batch) addSet(g *Group, key string, val []byte) {
	start := len(b.buf)
	b.buf = appendSet(b.buf, g.id, key, val)
	b.one(start, 0, op{kind: kindSet, g: g, key: key, val: val})
}

func (b *batch) addRemove(g *Group) {
	start := len(b.buf)
	b.buf = appendRemove(b.buf, g.id)
	b.one(start, 0, op{kind: kindRemove, g: g})
}

// one completes a call that has a single record.
func (b *batch) one(start int, term uint64, o op) {
	b.took(start, term)
	o.from, o.to = len(b.refs)-1, len(b.refs)
	b.ops = append(b.ops, o)
}

// urgent says that all of the batch may use the reserve.
func (b *batch) urgent() bool {
	for i := range b.ops {
		if !b.ops[i].kind.urgent() {
			return false
		}
	}
	return true
}

// moveUrgent appends the urgent calls of b to another batch.
func (b *batch) moveUrgent(to *batch) {
	for _, o := range b.ops {
		if !o.kind.urgent() {
			continue
		}
		from := len(to.refs)
		for _, r := range b.refs[o.from:o.to] {
			start := len(to.buf)
			to.buf = append(to.buf, b.buf[r.off:r.off+r.size]...)
			to.took(start, r.term)
		}
		o.from, o.to = from, len(to.refs)
		to.ops = append(to.ops, o)
	}
	b.moved = to
}

func (b *batch) finish(err error) {
	b.err = err
	close(b.done)
}

// wait returns when the call is durable and visible, or failed.
func (b *batch) wait(urgent bool) error {
	<-b.done
	for urgent && b.moved != nil {
		b = b.moved
		<-b.done
	}
	return b.err
}
