package peer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kahuna/peer"
	"kahuna/raftgroup"
	"kahuna/raftgroup/wal"
)

// list is a state machine that keeps all commands.
type list struct {
	mu       sync.Mutex
	applied  uint64
	commands []string
	restored int
}

func (l *list) Apply(entries []raftgroup.Entry) ([]any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.applied = e.Index
		l.commands = append(l.commands, string(e.Data))
	}
	return make([]any, len(entries)), nil
}

func (l *list) Applied() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.applied
}

func (l *list) Durable() (uint64, error) { return l.Applied(), nil }

func (l *list) Snapshot(w io.Writer) (uint64, error) {
	l.mu.Lock()
	text, index := strings.Join(l.commands, "\n"), l.applied
	l.mu.Unlock()
	_, err := io.WriteString(w, text)
	return index, err
}

func (l *list) Restore(r io.Reader, index uint64) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applied, l.commands = index, strings.Split(string(text), "\n")
	l.restored++
	return nil
}

func (l *list) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.commands)
}

// member is a node of a cluster over TCP. Its machine stands for its disk.
type member struct {
	t       *testing.T
	id      string
	addr    string
	dir     string
	voters  []raftgroup.Peer
	machine *list
	net     *peer.Network
	log     *wal.Log
	host    *raftgroup.Host
	group   *raftgroup.Group
}

func (m *member) start(l net.Listener) {
	m.t.Helper()
	var err error
	fail := func() {
		if err != nil {
			m.t.Fatal(err)
		}
	}
	m.net, err = peer.New(peer.Config{Listener: l, NodeID: m.id, Secret: []byte("secret of the cluster"), Logger: zerolog.Nop()})
	fail()
	m.log, err = wal.Open(wal.Options{Dir: filepath.Join(m.dir, "wal"), Logger: zerolog.Nop(), SegmentBytes: 1 << 20})
	fail()
	m.host = raftgroup.NewHost(raftgroup.HostConfig{NodeID: m.id, Network: m.net, Logger: zerolog.Nop(),
		Logs:   func(group uint32) raftgroup.LogStore { return m.log.Group(group) },
		Timing: raftgroup.Timing{TrailingLogs: 10}})
	m.group, err = m.host.Open(raftgroup.GroupConfig{ID: 7, Machine: m.machine, Dir: filepath.Join(m.dir, "group"), Bootstrap: m.voters})
	fail()
}

func (m *member) stop() {
	if m.net == nil {
		return
	}
	if err := errors.Join(m.host.Close(), m.net.Close(), m.log.Close()); err != nil {
		m.t.Error(err)
	}
	m.net = nil
}

func startMembers(t *testing.T, n int) []*member {
	t.Helper()
	members, listeners, voters := make([]*member, n), make([]net.Listener, n), []raftgroup.Peer(nil)
	for i := range members {
		listeners[i] = listenOn(t, "127.0.0.1:0")
		id := string(rune('a' + i))
		members[i] = &member{t: t, id: id, addr: listeners[i].Addr().String(), dir: t.TempDir(), machine: &list{}}
		voters = append(voters, raftgroup.Peer{ID: id, Addr: members[i].addr, Voter: true})
	}
	for i, m := range members {
		m.voters = voters
		m.start(listeners[i])
		t.Cleanup(m.stop)
	}
	return members
}

func listenOn(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("never happened: ", what)
		}
	}
}

func leaderOf(t *testing.T, members ...*member) (leader *member) {
	t.Helper()
	eventually(t, "a leader", func() bool {
		for _, m := range members {
			if m.group.Status().Ready {
				leader = m
				return true
			}
		}
		return false
	})
	return leader
}

func (m *member) propose(from, to int) {
	m.t.Helper()
	var wg sync.WaitGroup
	for w := range 20 {
		wg.Go(func() {
			for i := from + w; i < to; i += 20 {
				if _, _, err := m.group.Propose(fmt.Append(nil, i)).Wait(context.Background()); err != nil {
					m.t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := m.group.ReadIndex(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// TestRaftOverTCP: three nodes elect a leader and replicate; when it is killed the others go on; it comes back far behind, and is
// filled by a snapshot over a stream.
func TestRaftOverTCP(t *testing.T) {
	members := startMembers(t, 3)
	first := leaderOf(t, members...)
	first.propose(0, 1000)
	first.stop()
	rest := slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return m == first })
	second := leaderOf(t, rest...)
	second.propose(1000, 1500)
	if err := second.group.Compact(); err != nil {
		t.Fatal(err)
	}
	first.start(listenOn(t, first.addr))
	for _, m := range members {
		eventually(t, m.id+" has all", func() bool { return slices.Equal(m.machine.all(), second.machine.all()) })
	}
	if got := slices.Compact(slices.Sorted(slices.Values(second.machine.all()))); len(got) != 1500 {
		t.Fatal(len(got), "of 1500 commands are there")
	}
	if first.machine.restored != 1 {
		t.Fatal("no snapshot was sent")
	}
	for _, p := range second.net.Stats().Peers {
		if p.Dials > 30 || p.BytesOut == 0 {
			t.Fatalf("%+v", p)
		}
	}
}
