package cluster

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"kahuna/op"
	"kahuna/placement"
)

// version is how far somebody knows what a node says of itself: since a start of it, up to a change. The zero version is nothing.
type version struct{ life, seq uint64 }

// sight is what a node says of itself: its own figures, and those of its replicas. It learns what is new from answers, in any order.
type sight struct {
	mu       sync.Mutex
	at       version
	figures  figures
	replicas map[uint32]seenReplica
}

// figures are those of a node.
type figures struct{ diskUsed, diskFree, opsPerSec uint64 }

// seenReplica is what was said of a replica. It is not changed.
type seenReplica struct {
	placement.ReplicaReport
	since time.Duration // on this node's monotonic clock: when its leader began to measure; Measured is of the time of the answer
}

func newSight() *sight { return &sight{replicas: map[uint32]seenReplica{}} }

func (s *sight) version() version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// replica is what was said of a replica; nil: the node has none.
func (s *sight) replica(id uint32) *placement.ReplicaReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.replicas[id]; ok {
		return &r.ReplicaReport
	}
	return nil
}

// report is all that was said, at now on this node's clock.
func (s *sight) report(now time.Duration) placement.NodeReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := placement.NodeReport{DiskUsed: int64(s.figures.diskUsed), DiskFree: int64(s.figures.diskFree), OpsPerSec: s.figures.opsPerSec,
		Replicas: make([]placement.ReplicaReport, 0, len(s.replicas))}
	for _, seen := range s.replicas {
		if seen.Measured > 0 {
			seen.Measured = max(1, now-seen.since)
		}
		r.Replicas = append(r.Replicas, seen.ReplicaReport)
	}
	return r
}

// The form of an answer: the version that it leads to, whether it is of everything, the figures, a table of node ids, what is new, and
// the replicas that are gone. Numbers are varints, texts and lists have their length in front.
const (
	lookWhole byte = 1 // beside the version

	saysLeads byte = 1
	saysLoad  byte = 2
	saysEmpty byte = 4
)

// appendReplica appends what is said of a replica. Members have their ids as addresses.
func appendReplica(b []byte, r *placement.ReplicaReport, place func(id string) uint64) []byte {
	flags := byte(0)
	if r.Leads {
		flags |= saysLeads
	}
	if r.Measured > 0 {
		flags |= saysLoad
	}
	if r.Empty {
		flags |= saysEmpty
	}
	b = append(binary.AppendUvarint(b, uint64(r.Range)), flags)
	b = binary.AppendUvarint(binary.AppendUvarint(b, r.Term), r.Applied)
	b = binary.AppendUvarint(b, uint64(len(r.Members)))
	for _, m := range r.Members {
		b = binary.AppendUvarint(b, place(m.ID)<<3|bit(m.Voter)|bit(m.CaughtUp)<<1|bit(m.Live)<<2)
	}
	if flags&saysLoad == 0 {
		return b
	}
	for _, v := range []uint64{uint64(r.Measured.Milliseconds()), r.Bytes, r.OpsPerSec, r.WritesPerSec} {
		b = binary.AppendUvarint(b, v)
	}
	return op.AppendPosition(op.AppendPosition(b, r.HalfLoad), r.HalfSize)
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// lookReader reads an answer.
type lookReader struct {
	*op.Reader
	nodes []string
	wrong bool
}

// list tells whether the element i of a list of n is to be read: a length is not believed beyond what is there.
func (r *lookReader) list(i, n uint64) bool { return i < n && !r.Bad() && !r.wrong }

func (r *lookReader) replica(began time.Duration) (seen seenReplica) {
	seen.Range = r.Uint32()
	flags := r.Uint()
	seen.Leads, seen.Empty = byte(flags)&saysLeads != 0, byte(flags)&saysEmpty != 0
	seen.Term, seen.Applied = r.Uint(), r.Uint()
	for i, n := uint64(0), r.Uint(); r.list(i, n); i++ {
		m := r.Uint()
		if m>>3 >= uint64(len(r.nodes)) {
			r.wrong = true
			return seen
		}
		id := r.nodes[m>>3]
		seen.Members = append(seen.Members, placement.Member{ID: id, Addr: id, Voter: m&1 != 0, CaughtUp: m&2 != 0, Live: m&4 != 0})
	}
	if byte(flags)&saysLoad != 0 {
		seen.Measured = max(1, time.Duration(r.Uint())*time.Millisecond)
		seen.since = began - seen.Measured
		seen.Bytes, seen.OpsPerSec, seen.WritesPerSec = r.Uint(), r.Uint(), r.Uint()
		seen.HalfLoad, seen.HalfSize = r.Position(), r.Position()
	}
	return seen
}

// learn takes over an answer to a look that began at some time of this node's clock. One that is older than what is known is left out.
func (s *sight) learn(answer []byte, began time.Duration) error {
	r := lookReader{Reader: op.NewReader(slices.Clone(answer))}
	at, whole := version{r.Uint(), r.Uint()}, r.Uint() == uint64(lookWhole)
	from := r.Uint()
	f := figures{r.Uint(), r.Uint(), r.Uint()}
	for i, n := uint64(0), r.Uint(); r.list(i, n); i++ {
		r.nodes = append(r.nodes, r.Text())
	}
	var news []seenReplica
	for i, n := uint64(0), r.Uint(); r.list(i, n); i++ {
		news = append(news, r.replica(began))
	}
	var gone []uint32
	for i, n := uint64(0), r.Uint(); r.list(i, n); i++ {
		gone = append(gone, r.Uint32())
	}
	if r.wrong || r.End() != nil {
		return errAnswer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case whole:
		clear(s.replicas)
	case at.life != s.at.life || from > s.at.seq || at.seq < s.at.seq:
		return nil // an answer to another question: the next look asks from what is known
	}
	s.at, s.figures = at, f
	for _, seen := range news {
		s.replicas[seen.Range] = seen
	}
	for _, id := range gone {
		delete(s.replicas, id)
	}
	return nil
}
