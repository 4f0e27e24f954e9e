package wal

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// counter is a state machine that sums up what is applied.
type counter struct {
	m   *member
	mu  sync.Mutex
	sum uint64
	n   int // snapshots installed
}

func (c *counter) Apply(e *raft.Log) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum += binary.LittleEndian.Uint64(e.Data)
	return nil
}

func (c *counter) value() (sum uint64, installed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum, c.n
}

func (c *counter) Snapshot() (raft.FSMSnapshot, error) {
	sum, _ := c.value()
	return number(sum), nil
}

func (c *counter) Restore(r io.ReadCloser) error {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	c.mu.Lock()
	c.sum = binary.LittleEndian.Uint64(b[:])
	c.n++
	c.mu.Unlock()
	return c.m.dropCovered()
}

// dropCovered is the duty of a group's owner: without it the follower would stay behind for ever.
func (m *member) dropCovered() error {
	g := m.log.Group(1)
	metas, err := m.snaps.List()
	if err != nil || len(metas) == 0 {
		return err
	}
	first, last := g.bounds()
	if last >= metas[0].Index {
		return nil
	}
	return g.DeleteRange(first, last)
}

type number uint64

func (n number) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

func (number) Release() {}

// member is a node with one group.
type member struct {
	id    string
	log   *Log
	fsm   *counter
	snaps raft.SnapshotStore
	trans *raft.InmemTransport
	raft  *raft.Raft
}

func (m *member) start(t *testing.T, dir string) {
	o := options(filepath.Join(dir, m.id))
	o.SegmentBytes = 8 << 10
	m.log = open(t, o)
	g := m.log.Group(1)
	check(t, m.dropCovered())
	m.fsm = &counter{m: m}
	_, m.trans = raft.NewInmemTransport(raft.ServerAddress(m.id))
	c := raft.DefaultConfig()
	c.LocalID, c.LogOutput = raft.ServerID(m.id), io.Discard
	c.TrailingLogs, c.SnapshotThreshold = 10, 1<<40
	var err error
	m.raft, err = raft.NewRaft(c, m.fsm, g, g, m.snaps, m.trans)
	check(t, err)
}

func (m *member) stop(t *testing.T) {
	check(t, m.raft.Shutdown().Error())
	check(t, m.trans.Close())
	check(t, m.log.Close())
}

type members []*member

func newMembers(t *testing.T, dir string) members {
	var ms members
	var conf raft.Configuration
	for i := range 3 {
		m := &member{id: fmt.Sprint("n", i), snaps: raft.NewInmemSnapshotStore()}
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(m.id), Address: raft.ServerAddress(m.id)})
		ms = append(ms, m)
	}
	for _, m := range ms {
		m.start(t, dir)
		check(t, m.raft.BootstrapCluster(conf).Error())
	}
	return ms
}

func (ms members) connect() {
	for _, a := range ms {
		for _, b := range ms {
			if a != b {
				a.trans.Connect(raft.ServerAddress(b.id), b.trans)
			}
		}
	}
}

func (ms members) isolate(m *member) {
	m.trans.DisconnectAll()
	for _, o := range ms {
		o.trans.Disconnect(raft.ServerAddress(m.id))
	}
}

// leader waits, in virtual time, for a leader that is not out.
func (ms members) leader(t *testing.T, out *member) *member {
	for range 1000 {
		for _, m := range ms {
			if m != out && m.raft.State() == raft.Leader {
				return m
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no leader")
	return nil
}

func (m *member) add(t *testing.T, n int) {
	for range n {
		check(t, m.raft.Apply(binary.LittleEndian.AppendUint64(nil, 1), 5*time.Second).Error())
	}
}

func (ms members) converge(t *testing.T, want uint64) {
	for range 1000 {
		same := true
		for _, m := range ms {
			sum, _ := m.fsm.value()
			same = same && sum == want
		}
		if same {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, m := range ms {
		first, last := m.log.Group(1).bounds()
		sum, n := m.fsm.value()
		t.Errorf("%s: %d of %d, %d snapshots, log %d..%d", m.id, sum, want, n, first, last)
	}
	t.FailNow()
}

// TestUnderRaft runs a real cluster: elections, conflicting suffixes, compaction, a snapshot installed far above the follower's
// log, and restarts.
func TestUnderRaft(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ms := newMembers(t, dir)
		ms.connect()
		ms.leader(t, nil).add(t, 50)
		out := ms.leader(t, nil)
		ms.isolate(out)
		for range 5 { // entries that will be overwritten
			out.raft.Apply(make([]byte, 8), time.Second)
		}
		now := ms.leader(t, out)
		now.add(t, 200)
		check(t, now.raft.Snapshot().Error())
		ms.connect()
		ms.converge(t, 250)
		if _, n := out.fsm.value(); n == 0 {
			t.Error("vacuous: no snapshot was installed")
		}
		ms.leader(t, nil).add(t, 50)
		ms.converge(t, 300)
		for _, m := range ms {
			m.stop(t)
		}
		for _, m := range ms {
			m.start(t, dir)
		}
		ms.connect()
		ms.leader(t, nil).add(t, 10)
		ms.converge(t, 310)
		for _, m := range ms {
			m.stop(t)
		}
	})
}
