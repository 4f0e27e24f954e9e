package wal

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// apply makes a durable batch visible. Only the writer calls it.
func (l *Log) apply(b *batch, seg *segment, base int64) error {
	for i := range b.ops {
		o := &b.ops[i]
		if err := o.g.apply(o, b.refs[o.from:o.to], seg, base); err != nil {
			return err
		}
		if o.logs != nil {
			l.cache.add(o.g, o.logs)
		}
	}
	return nil
}

func (g *Group) apply(o *op, refs []ref, seg *segment, base int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch o.kind {
	case kindEntry, kindCopy:
		return g.putEntries(o, refs, seg, base)
	case kindDeletePrefix:
		g.entries.deletePrefix(o.index)
	case kindDeleteSuffix:
		g.entries.deleteSuffix(o.index)
	case kindSet:
		g.putKey(o.key, value{val: o.val, seg: seg, size: refs[0].size})
	case kindRemove:
		g.forget()
	}
	return nil
}

// putEntries sets cells. Invariant 4 of the package: an entry meets empty cells, a copy an empty cell or its own term.
func (g *Group) putEntries(o *op, refs []ref, seg *segment, base int64) error {
	for i, r := range refs {
		index := o.index + uint64(i)
		s := slot{seg: seg, term: r.term, off: uint32(base + int64(r.off)), size: r.size}
		if o.logs != nil {
			s.log = &o.logs[i]
		}
		if old := g.entries.at(index); old != nil {
			if o.kind == kindEntry || old.term != r.term {
				return fmt.Errorf("group %d: entry %d with term %d over one with term %d", g.id, index, r.term, old.term)
			}
			s.log = old.log
		}
		if err := g.entries.put(index, s); err != nil {
			return fmt.Errorf("group %d: %w", g.id, err)
		}
	}
	return nil
}

func (g *Group) putKey(key string, v value) {
	if g.keys == nil {
		g.keys = map[string]value{}
	}
	g.keys[key].release()
	v.retain()
	g.keys[key] = v
}

func (g *Group) forget() {
	g.entries.clear()
	for _, v := range g.keys {
		v.release()
	}
	g.keys = nil
}

// unhook drops a cached entry, if the group still has that very one.
func (g *Group) unhook(e *raft.Log) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.entries.at(e.Index); s != nil && s.log == e {
		s.log = nil
	}
}

// used says that the group has anything in the log.
func (g *Group) used() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return !g.entries.empty() || len(g.keys) > 0
}
