package wal

import (
	"bytes"
	"fmt"
	"math/rand"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// model is what one group must look like.
type model struct {
	id    uint32
	first uint64
	logs  []raft.Log
	keys  map[string][]byte
	term  uint64
}

func (m *model) last() uint64 { return m.first + uint64(len(m.logs)) - 1 }

// step does one random thing to the group and to the model.
func (m *model) step(r *rand.Rand, l *Log) error {
	g := l.Group(m.id)
	switch p := r.Intn(100); {
	case p < 55:
		return m.append(r, g)
	case p < 67:
		return m.deletePrefix(r, g)
	case p < 75:
		return m.deleteSuffix(r, g)
	case p < 77:
		return m.deleteAll(g)
	case p < 97:
		key, val := fmt.Sprint("key", r.Intn(4)), randomBytes(r, 60)
		m.keys[key] = val
		return g.Set([]byte(key), val)
	case p < 98:
		m.logs, m.keys = nil, map[string][]byte{}
		return l.RemoveGroup(m.id)
	default:
		return m.verify(g)
	}
}

func (m *model) append(r *rand.Rand, g *Group) error {
	next := uint64(r.Intn(1000) + 1)
	if len(m.logs) > 0 {
		next = m.last() + 1
	} else {
		m.first = next
	}
	m.term += uint64(r.Intn(2))
	var batch []*raft.Log
	for range r.Intn(6) + 1 {
		e := raft.Log{Index: next, Term: m.term, Type: raft.LogType(r.Intn(6)), Data: randomBytes(r, 200), AppendedAt: time.Unix(r.Int63n(1e9), 5).UTC()}
		if r.Intn(50) == 0 {
			e.Data = randomBytes(r, 9000)
		}
		next++
		m.logs = append(m.logs, e)
		batch = append(batch, &e)
	}
	return g.StoreLogs(batch)
}

func (m *model) deletePrefix(r *rand.Rand, g *Group) error {
	if len(m.logs) == 0 {
		return nil
	}
	n := r.Intn(len(m.logs)) + 1
	first, to := m.first, m.first+uint64(n)-1
	m.logs, m.first = m.logs[n:], to+1
	return g.DeleteRange(first, to)
}

func (m *model) deleteSuffix(r *rand.Rand, g *Group) error {
	if len(m.logs) == 0 {
		return nil
	}
	keep := max(r.Intn(len(m.logs)), len(m.logs)-10)
	from, last := m.first+uint64(keep), m.last()
	m.logs = m.logs[:keep]
	m.term++
	return g.DeleteRange(from, last)
}

func (m *model) deleteAll(g *Group) error {
	if len(m.logs) == 0 {
		return nil
	}
	first, last := m.first, m.last()
	m.logs = nil
	return g.DeleteRange(first, last)
}

func (m *model) verify(g *Group) error {
	var first, last uint64
	if len(m.logs) > 0 {
		first, last = m.first, m.last()
	}
	f, err1 := g.FirstIndex()
	t, err2 := g.LastIndex()
	if f != first || t != last || err1 != nil || err2 != nil {
		return fmt.Errorf("group %d: %d..%d, want %d..%d (%v, %v)", m.id, f, t, first, last, err1, err2)
	}
	for i := range m.logs {
		if err := m.verifyEntry(g, &m.logs[i]); err != nil {
			return err
		}
	}
	g.mu.RLock()
	keys := len(g.keys)
	g.mu.RUnlock()
	if keys != len(m.keys) {
		return fmt.Errorf("group %d: %d keys, want %d", m.id, keys, len(m.keys))
	}
	for key, val := range m.keys {
		if got, err := g.Get([]byte(key)); err != nil || !bytes.Equal(got, val) {
			return fmt.Errorf("group %d: key %s is %x, want %x (%v)", m.id, key, got, val, err)
		}
	}
	return nil
}

func (m *model) verifyEntry(g *Group, want *raft.Log) error {
	var got raft.Log
	if err := g.GetLog(want.Index, &got); err != nil {
		return fmt.Errorf("group %d entry %d: %w", m.id, want.Index, err)
	}
	if got.Index != want.Index || got.Term != want.Term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) || !got.AppendedAt.Equal(want.AppendedAt) {
		return fmt.Errorf("group %d entry %d: got %v, want %v", m.id, want.Index, got, *want)
	}
	return nil
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, r.Intn(n))
	r.Read(b)
	return b
}

// TestModel runs several groups at once against models in memory, with tiny segments so that collection never rests, and opens the
// log again and again: after a Close, and from a copy of the directory as a crash would leave it.
func TestModel(t *testing.T) {
	for _, size := range []int64{4 << 10, 16 << 10} {
		for i := range 4 {
			seed := time.Now().UnixNano() + int64(i)
			t.Run(fmt.Sprintf("segments=%d/seed=%d", size, seed), func(t *testing.T) { runModel(t, size, seed) })
		}
	}
}

func runModel(t *testing.T, size int64, seed int64) {
	r := rand.New(rand.NewSource(seed))
	root := t.TempDir()
	o := options(filepath.Join(root, "0"))
	o.SegmentBytes, o.MaxBatchBytes = size, []int{0, 700, 5000}[r.Intn(3)]
	models := make([]*model, 5)
	for i := range models {
		models[i] = &model{id: uint32(i * 7), keys: map[string][]byte{}, term: 1}
	}
	l := open(t, o)
	var copied, segments uint64
	for round := range 25 {
		runRound(t, r, l, models)
		verifyAll(t, l, models)
		copied += l.Stats().CopiedBytes
		if r.Intn(2) == 0 {
			check(t, l.Close())
			verifyLive(t, l)
		} else {
			o.Dir = filepath.Join(root, fmt.Sprint(round+1))
			old := l.o.Dir
			copyStopped(t, l, old, o.Dir, r)
		}
		l = open(t, o)
		verifyAll(t, l, models)
		segments = oldest(l)
	}
	check(t, l.Close())
	if copied == 0 || segments < 10 {
		t.Fatalf("vacuous: %d bytes copied, %d segments collected", copied, segments)
	}
}

// copyStopped closes the log and copies its directory with the mark of a moment before, as if the process had died.
func copyStopped(t *testing.T, l *Log, from, to string, r *rand.Rand) {
	check(t, l.Close())
	copyDir(t, from, to)
	m, err := openMark(Options{Dir: to, Sync: noSync})
	check(t, err)
	back := mark{seq: m.mark.seq, first: m.mark.first}
	if r.Intn(2) == 0 {
		back.seq -= min(back.seq, uint64(r.Intn(100)))
	}
	check(t, m.save(back))
	check(t, m.f.Close())
}

func runRound(t *testing.T, r *rand.Rand, l *Log, models []*model) {
	t.Helper()
	errs := make([]error, len(models))
	var wg sync.WaitGroup
	for i, m := range models {
		steps, own := r.Intn(60), rand.New(rand.NewSource(r.Int63()))
		if i == 0 {
			steps = r.Intn(3) // a cold group
		}
		wg.Go(func() {
			for range steps {
				if errs[i] = m.step(own, l); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		check(t, err)
	}
}

func verifyAll(t *testing.T, l *Log, models []*model) {
	t.Helper()
	var ids []uint32
	for _, m := range models {
		if err := m.verify(l.Group(m.id)); err != nil {
			t.Fatal(err)
		}
		if len(m.logs) > 0 || len(m.keys) > 0 {
			ids = append(ids, m.id)
		}
	}
	if got := l.Groups(); !slices.Equal(got, ids) {
		t.Fatalf("groups %v, want %v", got, ids)
	}
}

// oldest is the number of the first segment that is still needed.
func oldest(l *Log) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segs[0].number
}

// verifyLive counts again what every segment says of itself. The log is closed.
func verifyLive(t *testing.T, l *Log) {
	t.Helper()
	live := map[*segment]int{}
	for _, g := range l.sortedGroups() {
		for _, s := range g.entries.slots {
			live[s.seg]++
		}
		for _, v := range g.keys {
			live[v.seg]++
		}
	}
	for _, s := range l.segs {
		if s.live != live[s] {
			t.Fatalf("segment %d: %d live records, counted %d", s.number, s.live, live[s])
		}
		delete(live, s)
	}
	if len(live) != 0 {
		t.Fatalf("cells point to %d segments that are gone", len(live))
	}
}
