package placement

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"kahuna/op"
)

// stateFormat is the first byte. The form: a table of all node ids, then everything, with nodes as their place in the table. A
// range has no end of its own, as the next one begins there. Numbers are varints, texts and lists have their length in front. Format 1
// had no floor, no changes and no cooldowns; its ranges were those that the cluster was made with.
const stateFormat = 2

// ErrFormat means that bytes are not a State, or one of a newer program.
var ErrFormat = errors.New("placement: the cluster's state can't be read")

// Encode gives the stored form. s must pass Check.
func (s *State) Encode() []byte {
	w := writer{b: make([]byte, 0, 64+64*len(s.Nodes)+16*len(s.Ranges)), places: make(map[string]int, len(s.Nodes))}
	w.b = append(w.b, stateFormat)
	w.text(s.ClusterID)
	w.ids(s)
	w.uint(uint64(s.Replication), uint64(s.NextID))
	w.nodes(s)
	w.refs(s.MetaVoters)
	w.uint(uint64(len(s.Ranges)))
	for i := range s.Ranges {
		w.oneRange(&s.Ranges[i])
	}
	w.uint(uint64(s.Floor))
	w.changes(s.Changes)
	w.cooldowns(s.Cooldowns)
	return w.b
}

type writer struct {
	b      []byte
	places map[string]int // of ids in the table
}

func (w *writer) uint(all ...uint64) {
	for _, v := range all {
		w.b = binary.AppendUvarint(w.b, v)
	}
}

func (w *writer) text(t string) {
	w.uint(uint64(len(t)))
	w.b = append(w.b, t...)
}

// ids writes the table: the nodes, then first members that are no nodes any more.
func (w *writer) ids(s *State) {
	var table []string
	add := func(id string) {
		if _, ok := w.places[id]; !ok {
			w.places[id] = len(table)
			table = append(table, id)
		}
	}
	for i := range s.Nodes {
		add(s.Nodes[i].ID)
	}
	for i := range s.Ranges {
		for _, id := range s.Ranges[i].Born {
			add(id)
		}
	}
	w.uint(uint64(len(table)))
	for _, id := range table {
		w.text(id)
	}
}

func (w *writer) nodes(s *State) {
	w.uint(uint64(len(s.Nodes)))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		w.uint(uint64(w.places[n.ID]))
		for _, t := range []string{n.Name, n.PeerAddr, n.ClientAddr, n.ClusterAddr, n.Zone} {
			w.text(t)
		}
		w.uint(uint64(n.Status), uint64(n.Relieve), uint64(n.Departed))
	}
}

func (w *writer) refs(ids []string) {
	w.uint(uint64(len(ids)))
	for _, id := range ids {
		w.uint(uint64(w.places[id]))
	}
}

func (w *writer) oneRange(r *Range) {
	w.uint(uint64(r.ID), r.Epoch)
	w.b = op.AppendPosition(w.b, r.From)
	w.uint(uint64(r.Replication))
	w.refs(r.Replicas)
	w.refs(r.Born)
}

func (w *writer) changes(all []Change) {
	w.uint(uint64(len(all)))
	for _, c := range all {
		w.uint(uint64(c.Kind), uint64(c.Range), uint64(c.Other), uint64(c.Began), uint64(number(c.Cancel)))
		w.b = op.AppendPosition(w.b, c.At)
		w.ref(c.From)
		w.ref(c.To)
	}
}

// ref writes a node, or none.
func (w *writer) ref(id string) {
	if id == "" {
		w.uint(0)
		return
	}
	w.uint(uint64(w.places[id]) + 1)
}

func (w *writer) cooldowns(all []Cooldown) {
	w.uint(uint64(len(all)))
	for _, c := range all {
		w.uint(uint64(c.Range), uint64(c.Until))
		w.ref(c.Node)
	}
}

// Decode reads the stored form, which stays the caller's, and checks it.
func Decode(b []byte) (*State, error) {
	if len(b) == 0 {
		return nil, ErrFormat
	}
	if b[0] < 1 || b[0] > stateFormat {
		return nil, fmt.Errorf("%w: it has format %d, and this program knows format %d", ErrFormat, b[0], stateFormat)
	}
	r := reader{Reader: op.NewReader(bytes.Clone(b[1:]))}
	s := r.state()
	if s.Floor = len(s.Ranges); b[0] > 1 {
		r.inFlight(s)
	}
	if r.End() != nil {
		return nil, ErrFormat
	}
	return s, s.Check()
}

type reader struct {
	*op.Reader
	table []string
	wrong bool
}

// End tells whether something was wrong or is left.
func (r *reader) End() error {
	if r.wrong {
		return ErrFormat
	}
	return r.Reader.End()
}

// more tells whether the element i of a list of n is to be read: a length is not believed beyond what is there.
func (r *reader) more(i, n uint64) bool { return i < n && !r.Bad() && !r.wrong }

func (r *reader) small(most int) int {
	v := r.Uint()
	if v > uint64(most) {
		r.wrong = true
		return 0
	}
	return int(v)
}

func (r *reader) state() *State {
	s := &State{ClusterID: r.Text()}
	for i, n := uint64(0), r.Uint(); r.more(i, n); i++ {
		r.table = append(r.table, r.Text())
	}
	s.Replication, s.NextID = r.small(MaxReplicas), r.Uint32()
	for i, n := uint64(0), r.Uint(); r.more(i, n); i++ {
		s.Nodes = append(s.Nodes, r.node())
	}
	s.MetaVoters = r.refs(MaxMetaVoters)
	for i, n := uint64(0), r.Uint(); r.more(i, n); i++ {
		s.Ranges = append(s.Ranges, r.oneRange())
		if i > 0 {
			s.Ranges[i-1].To = s.Ranges[i].From
		}
	}
	return s
}

func (r *reader) inFlight(s *State) {
	s.Floor = r.small(MaxRanges)
	for i, n := uint64(0), r.Uint(); r.more(i, n); i++ {
		c := Change{Kind: StepKind(r.small(int(Cancel))), Range: r.Uint32(), Other: r.Uint32(), Began: op.Timestamp(r.Uint()), Cancel: r.small(1) == 1}
		c.At, c.From, c.To = r.Position(), r.orNone(), r.orNone()
		s.Changes = append(s.Changes, c)
	}
	for i, n := uint64(0), r.Uint(); r.more(i, n); i++ {
		s.Cooldowns = append(s.Cooldowns, Cooldown{Range: r.Uint32(), Until: op.Timestamp(r.Uint()), Node: r.orNone()})
	}
}

func (r *reader) node() Node {
	return Node{ID: r.ref(), Name: r.Text(), PeerAddr: r.Text(), ClientAddr: r.Text(), ClusterAddr: r.Text(), Zone: r.Text(),
		Status: NodeStatus(r.small(int(Left))), Relieve: r.small(MaxRanges + 1), Departed: r.Uint32()}
}

func (r *reader) ref() string { return r.entry(r.Uint()) }

func (r *reader) entry(at uint64) string {
	if at >= uint64(len(r.table)) {
		r.wrong = true
		return ""
	}
	return r.table[at]
}

// orNone takes a node, or none.
func (r *reader) orNone() string {
	if at := r.Uint(); at > 0 {
		return r.entry(at - 1)
	}
	return ""
}

func (r *reader) refs(most int) (ids []string) {
	n := uint64(r.small(most))
	if n > 0 {
		ids = make([]string, 0, n)
	}
	for i := uint64(0); r.more(i, n); i++ {
		ids = append(ids, r.ref())
	}
	return ids
}

func (r *reader) oneRange() Range {
	return Range{ID: r.Uint32(), Epoch: r.Uint(), From: r.Position(), Replication: r.small(MaxReplicas),
		Replicas: r.refs(MaxReplicas), Born: r.refs(MaxReplicas)}
}
