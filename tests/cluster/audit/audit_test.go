package audit

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"kahuna/cluster/clustertest"
	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

const nodes = 3

// stopped runs a cluster, has it do something, and gives the stores of its nodes, which ended at the same state.
func stopped(t *testing.T) []*Store {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Start(t, dir, nodes, 2)
		for i := range 20 {
			c.Do(i%nodes, &op.Set{Key: fmt.Appendf(nil, "k%d", i%7), Value: fmt.Appendf(nil, "v%d", i), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 3_600_000}})
		}
		c.Do(0, &op.LockAcquire{Name: []byte("l"), Owner: []byte("o"), TTLMilli: 60_000}, &op.SeqNext{Name: []byte("s"), Count: 1})
		c.Do(0, &op.LockRelease{Name: []byte("l"), Owner: []byte("o")})
		c.Wait(func() error {
			for _, id := range []uint32{fsm.Meta, 1, 2} {
				first := c.Nodes[0].Replica(id).Machine().Applied()
				for _, n := range c.Nodes {
					if n.Replica(id).Machine().Applied() != first {
						return errors.New("replicas are apart")
					}
				}
			}
			return nil
		})
		c.Close()
	})
	var stores []*Store
	for i := range nodes {
		s, err := Read(fmt.Sprint("n", i), filepath.Join(dir, fmt.Sprint(i), "store"), "")
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	return stores
}

// A checker that finds nothing in good stores must find what is planted in them.
func TestAudit(t *testing.T) {
	stores := stopped(t)
	r := Judge(stores, 0)
	if len(r.Violations) > 0 || len(r.Left) > 0 || r.Replicas < 7 || r.Keys == 0 {
		t.Fatalf("%+v", r)
	}
	name := op.Name{Space: op.SpaceKey, Key: []byte("k1")}
	home := partitionOf(stores[1], name)
	for want, plant := range map[string]func(s *Store){
		"violation: key":       func(s *Store) { s.Content[home][string(storage.AppendCurrent(nil, name))] += "x" },
		"violation: partition": func(s *Store) { delete(s.Content[home], string(storage.AppendCurrent(nil, name))) },
		"behind: has applied": func(s *Store) {
			state := s.States[home]
			state.Index++
			s.States[home] = state
		},
		"left: the intent": func(s *Store) { s.Content[home][string(storage.AppendIntent(nil, name))] = "" },
		"left: the record": func(s *Store) {
			s.Content[home][string(storage.AppendRecord(nil, name, 7))] = string(record(op.TxnState{Status: op.TxnCommitted, Deadline: 8}))
		},
		"left: the lock": func(s *Store) {
			s.Content[home][string(storage.AppendCurrent(nil, op.Lock([]byte("k1"))))] = s.Content[home][string(storage.AppendCurrent(nil, name))]
		},
		"behind: has no replica": func(s *Store) { delete(s.States, home) },
		"violation: begins at":   func(s *Store) { s.Map.Ranges[0].From.Slot = 5 },
		"violation: no member":   func(s *Store) { s.Map.Ranges[0].Replicas[0] = "somebody" },
	} {
		t.Run(want, func(t *testing.T) {
			planted := clone(stores[1])
			plant(planted)
			r := Judge([]*Store{stores[0], planted, stores[2]}, 0)
			kind, text, _ := strings.Cut(want, ": ")
			list := map[string][]string{"violation": r.Violations, "left": r.Left, "behind": r.Behind}[kind]
			if !strings.Contains(strings.Join(list, "\n"), text) {
				t.Errorf("not found: %+v", r)
			}
		})
	}
}

// What one store says of itself must agree with what is in it.
func TestCounts(t *testing.T) {
	good := stopped(t)[1]
	name := op.Name{Space: op.SpaceKey, Key: []byte("k1")}
	home := partitionOf(good, name)
	due := ""
	for key := range good.Content[home] {
		if key[0] == byte(storage.KindDue) {
			due = key
		}
	}
	for want, plant := range map[string]func(s *Store){
		"does not list a due time":        func(s *Store) { delete(s.Content[home], due) },
		"lists a due time of nothing":     func(s *Store) { s.Content[home][string(storage.AppendDue(nil, 5, name))] = "" },
		"is in no partition of this node": func(s *Store) { s.States = map[uint32]fsm.State{}; s.readOne(t, storage.AppendCurrent(nil, name)) },
	} {
		planted := clone(good)
		plant(planted)
		if err := planted.dues(home); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(planted.violations, "\n"), want) {
			t.Errorf("%s: not found: %v", want, planted.violations)
		}
	}
}

// readOne takes in one key.
func (s *Store) readOne(t *testing.T, key []byte) {
	t.Helper()
	if err := s.readAll(one{key: key}); err != nil {
		t.Fatal(err)
	}
}

// one is a store with one key.
type one struct {
	mvcc.Reader // nil: nothing else is asked for
	key         []byte
}

func (o one) Scan(_, _ []byte, _, _ bool, fn func(key, value []byte) (bool, error)) error {
	_, err := fn(o.key, nil)
	return err
}

func partitionOf(s *Store, n op.Name) uint32 {
	id, _, _, err := s.owner(storage.AppendCurrent(nil, n))
	if err != nil {
		panic(err)
	}
	return id
}

func clone(s *Store) *Store {
	c := *s
	c.States, c.Content, c.Map = maps.Clone(s.States), map[uint32]map[string]string{}, s.Map.Clone()
	for id, content := range s.Content {
		c.Content[id] = maps.Clone(content)
	}
	return &c
}

func record(state op.TxnState) []byte { return op.AppendTxn([]byte{1}, &state) }
