package raftgroup_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kahuna/raftgroup"
	"kahuna/raftgroup/simnet"
)

// register is a state machine that keeps the sum and the number of what it was given. It never goes back in time: a snapshot that is
// older than what it has is a fault.
type register struct {
	mu        sync.Mutex
	applied   uint64
	sum, n    uint64
	wentBack  error
	installed int
}

func (r *register) Apply(e *raft.Log) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Index <= r.applied {
		return nil
	}
	r.applied = e.Index
	r.sum += binary.LittleEndian.Uint64(e.Data)
	r.n++
	return nil
}

func (r *register) Snapshot() (raft.FSMSnapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := binary.LittleEndian.AppendUint64(nil, r.applied)
	b = binary.LittleEndian.AppendUint64(b, r.sum)
	b = binary.LittleEndian.AppendUint64(b, r.n)
	return image(append(b, make([]byte, 256<<10)...)), nil // long enough to be cut
}

func (r *register) Restore(rc io.ReadCloser) error {
	var b [24]byte
	if _, err := io.ReadFull(rc, b[:]); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	applied := binary.LittleEndian.Uint64(b[:])
	if applied < r.applied {
		r.wentBack = fmt.Errorf("a snapshot at %d was installed over %d", applied, r.applied)
	}
	r.applied, r.sum, r.n = applied, binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	r.installed++
	return rc.Close()
}

func (r *register) state() (sum, n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sum, r.n
}

type image []byte

func (i image) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(i); err != nil {
		return err
	}
	return sink.Close()
}
func (image) Release() {}

// shelf keeps the last whole snapshot. (raft.InmemSnapshotStore keeps cancelled ones too.)
type shelf struct {
	mu   sync.Mutex
	meta *raft.SnapshotMeta
	data []byte
}

func (s *shelf) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	id := fmt.Sprintf("%d-%d", term, index)
	return &sink{shelf: s, meta: raft.SnapshotMeta{Version: v, ID: id, Index: index, Term: term, Configuration: c, ConfigurationIndex: at}}, nil
}

func (s *shelf) last() (*raft.SnapshotMeta, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta, s.data
}

func (s *shelf) List() ([]*raft.SnapshotMeta, error) {
	if meta, _ := s.last(); meta != nil {
		return []*raft.SnapshotMeta{meta}, nil
	}
	return nil, nil
}

func (s *shelf) Open(string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, data := s.last()
	return meta, io.NopCloser(bytes.NewReader(data)), nil
}

type sink struct {
	bytes.Buffer
	shelf *shelf
	meta  raft.SnapshotMeta
}

func (s *sink) ID() string    { return s.meta.ID }
func (s *sink) Cancel() error { return nil }
func (s *sink) Close() error {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	s.meta.Size = int64(s.Len())
	s.shelf.meta, s.shelf.data = &s.meta, s.Bytes()
	return nil
}

// replica is one node with one group. Its stores and its state survive a restart.
type replica struct {
	t     *testing.T
	net   *simnet.Net
	id    string
	logs  *raft.InmemStore
	snaps *shelf
	fsm   *register
	mux   raftgroup.Mux
	raft  *raft.Raft
}

// view is the guard over the stores.
type view struct{ *replica }

func (v view) Applied() uint64 {
	v.fsm.mu.Lock()
	defer v.fsm.mu.Unlock()
	return v.fsm.applied
}

func (v view) FirstIndex() uint64 {
	first, _ := v.logs.FirstIndex()
	return first
}

func (v view) EntryTerm(index uint64) (uint64, bool) {
	var e raft.Log
	if v.logs.GetLog(index, &e) == nil {
		return e.Term, true
	}
	if meta, _ := v.snaps.last(); meta != nil && meta.Index == index {
		return meta.Term, true
	}
	return 0, false
}

func (v view) Refuses() bool { return false }
func (v view) Filled() bool  { return true }

func (v view) Follows() (commit uint64, yes bool) { return 0, false }

const trailingLogs = 5

func (r *replica) start() {
	r.mux = raftgroup.NewMux(r.net.Node(r.id), time.Second, func(qs []raftgroup.TermQuery) []bool { return make([]bool, len(qs)) })
	c := raft.DefaultConfig()
	c.LocalID, c.TrailingLogs, c.SnapshotThreshold, c.SnapshotInterval = raft.ServerID(r.id), trailingLogs, 1<<60, time.Hour
	c.NoSnapshotRestoreOnStart, c.Logger, c.MaxAppendEntries = true, hclog.NewNullLogger(), 8
	var err error
	if r.raft, err = raft.NewRaft(c, r.fsm, r.logs, r.logs, r.snaps, r.mux.Open(1, view{r})); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replica) stop() {
	stopped := r.raft.Shutdown()
	r.mux.Close()
	if err := stopped.Error(); err != nil {
		r.t.Error(err)
	}
}

func (r *replica) restart() {
	r.stop()
	r.net.Down(r.id)
	r.start()
}

type ensemble struct {
	t        *testing.T
	net      *simnet.Net
	replicas []*replica
	sum, n   uint64 // acknowledged
	unknown  uint64 // proposed, end not known
}

func inEnsemble(t *testing.T, seed uint64, f func(t *testing.T, c *ensemble)) {
	synctest.Test(t, func(t *testing.T) {
		c := &ensemble{t: t, net: simnet.New(seed)}
		var servers []raft.Server
		for _, id := range []string{"a", "b", "c"} {
			servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
		}
		for _, s := range servers {
			r := &replica{t: t, net: c.net, id: string(s.ID), logs: raft.NewInmemStore(), snaps: &shelf{}, fsm: &register{}}
			r.start()
			if err := r.raft.BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
				t.Fatal(err)
			}
			c.replicas = append(c.replicas, r)
		}
		defer c.net.Close()
		defer c.stop()
		f(t, c)
	})
}

func (c *ensemble) stop() {
	for _, r := range c.replicas {
		r.stop()
		if r.fsm.wentBack != nil {
			c.t.Error(r.id, r.fsm.wentBack)
		}
	}
}

// leader waits for one among those that are not left out.
func (c *ensemble) leader(without ...*replica) *replica {
	c.t.Helper()
	for range 6000 {
		for _, r := range c.replicas {
			if r.raft.State() == raft.Leader && (len(without) == 0 || r != without[0]) {
				return r
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatal("no leader")
	return nil
}

func (c *ensemble) apply(r *replica, v uint64) error {
	err := r.raft.Apply(binary.LittleEndian.AppendUint64(nil, v), time.Second).Error()
	if err == nil {
		c.sum, c.n = c.sum+v, c.n+1
	} else {
		c.unknown++
	}
	return err
}

func (c *ensemble) mustApply(r *replica, times int) {
	c.t.Helper()
	for range times {
		if err := c.apply(r, 1); err != nil {
			c.t.Fatal(err)
		}
	}
}

// converge waits until all replicas have the same state, and checks that nothing acknowledged is missing.
func (c *ensemble) converge() {
	c.t.Helper()
	for range 6000 {
		sum, n := c.replicas[0].fsm.state()
		same := n >= c.n && n <= c.n+c.unknown
		for _, r := range c.replicas[1:] {
			s, k := r.fsm.state()
			same = same && s == sum && k == n
		}
		if same {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, r := range c.replicas {
		sum, n := r.fsm.state()
		c.t.Errorf("%s has %d in %d, acknowledged %d in %d, %d unknown: %v", r.id, sum, n, c.sum, c.n, c.unknown, r.raft.Stats())
	}
	c.t.FailNow()
}

func TestClusterElectsAppliesAndSurvives(t *testing.T) {
	inEnsemble(t, 1, func(t *testing.T, c *ensemble) {
		first := c.leader()
		c.mustApply(first, 20)
		c.net.Isolate(first.id)
		second := c.leader(first)
		c.mustApply(second, 20)
		if err := c.apply(first, 1); err == nil {
			t.Error("an isolated leader acknowledged")
		}
		c.net.Heal()
		c.mustApply(second, 20)
		c.converge()
		for _, r := range c.replicas {
			r.restart()
			c.mustApply(c.leader(), 5)
		}
		c.converge()
		if c.net.Counters().Lost == 0 {
			t.Error("nothing was lost")
		}
	})
}

func TestStaleReplicaIsFilledByASnapshotOverACutStream(t *testing.T) {
	inEnsemble(t, 2, func(t *testing.T, c *ensemble) {
		l := c.leader()
		c.mustApply(l, 5)
		stale := c.replicas[0]
		if stale == l {
			stale = c.replicas[1]
		}
		c.net.Isolate(stale.id)
		c.mustApply(l, 50)
		if err := l.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		c.net.Heal()
		c.net.SetFaults(simnet.Faults{StreamCut: 1})
		for range 6000 {
			if c.net.Counters().StreamsCut >= 2 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		c.net.Heal()
		c.converge()
		if stale.fsm.installed != 1 || c.net.Counters().StreamsCut < 2 {
			t.Errorf("installed %d times, %+v", stale.fsm.installed, c.net.Counters())
		}
	})
}

// Acks are lost while logs are compacted behind the leader's back: the conditions under which hashicorp/raft installs an older snapshot
// over a newer state.
func TestClusterUnderFaults(t *testing.T) {
	var total simnet.Counters
	faults := simnet.Faults{Loss: 0.02, AnswerLoss: 0.05, Duplicate: 0.1, StreamCut: 0.3, DelayMax: 20 * time.Millisecond}
	for seed := range uint64(20) {
		inEnsemble(t, seed, func(t *testing.T, c *ensemble) {
			for round := range 12 {
				c.net.Heal()
				c.net.SetFaults(faults)
				l := c.leader()
				victim := c.replicas[(round+int(seed))%3]
				switch {
				case round%4 == 3:
					victim.restart()
				case victim != l:
					c.net.Cut(victim.id, l.id) // it hears, and is not heard
				default:
					c.net.Isolate(victim.id)
				}
				for range 25 {
					_ = c.apply(c.leader(), 1)
				}
				for _, r := range c.replicas {
					_ = r.raft.Snapshot().Error()
				}
			}
			c.net.Heal()
			c.converge()
			got := c.net.Counters()
			total.Lost, total.AnswersLost, total.Duplicated, total.Delayed, total.StreamsCut = total.Lost+got.Lost, total.AnswersLost+got.AnswersLost,
				total.Duplicated+got.Duplicated, total.Delayed+got.Delayed, total.StreamsCut+got.StreamsCut
			if c.n < 50 {
				t.Errorf("only %d were acknowledged", c.n)
			}
		})
	}
	if total.Lost == 0 || total.AnswersLost == 0 || total.Duplicated == 0 || total.Delayed == 0 {
		t.Errorf("a fault did not bite: %+v", total)
	}
}
