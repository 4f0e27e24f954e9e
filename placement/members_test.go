package placement

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestJoin(t *testing.T) {
	s := newState(t, 3, 2, 3)
	if err := s.Join(Node{ID: "n015", PeerAddr: "new"}); err != nil || s.Nodes[2].ID != "n015" || s.Nodes[2].Status != Active {
		t.Fatal(s.Nodes, err)
	}
	if err := s.SetStatus("n00", Draining); err != nil {
		t.Fatal(err)
	}
	if err := s.Join(Node{ID: "n00", PeerAddr: "moved"}); err != nil || s.Nodes[0].PeerAddr != "moved" || s.Nodes[0].Status != Draining {
		t.Error("a node that comes back with another address", s.Nodes[0], err)
	}
	if err := s.Join(Node{ID: "n77", PeerAddr: s.Nodes[1].PeerAddr}); err != nil || s.Node("n01").Status != Leaving || s.Node("n01").Relieve != 3 || s.Node("n77").Status != Active {
		t.Error("a node that has another's address", s.Nodes, err)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	for i := 0; len(s.Nodes) < MaxNodes; i++ {
		s.Nodes = append(s.Nodes, Node{ID: fmt.Sprintf("x%05d", i), Status: Active})
	}
	if err := s.Join(Node{ID: "zz"}); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
}

func TestSetStatus(t *testing.T) {
	s := newState(t, 3, 2, 3)
	if err := s.SetStatus("who", Draining); !errors.Is(err, ErrUnknownNode) {
		t.Error(err)
	}
	for _, status := range []NodeStatus{Draining, Leaving, Draining} {
		if err := s.SetStatus("n00", status); err != nil || s.Nodes[0].Status != status || s.Nodes[0].Relieve != 3 {
			t.Error(s.Nodes[0], err)
		}
	}
	if err := s.SetStatus("n00", Active); err != nil || s.Nodes[0].Status != Active || s.Nodes[0].Relieve != 0 {
		t.Error(s.Nodes[0], err)
	}
	if s.SetStatus("n00", Left) == nil || s.SetStatus("n00", 0) == nil {
		t.Error("a status that is nobody's to set was set")
	}
}

func TestLeave(t *testing.T) {
	s := newState(t, 7, 2, 3)
	if err := s.Leave("who"); !errors.Is(err, ErrUnknownNode) {
		t.Error(err)
	}
	before := s.Clone()
	if err := s.Leave("n00"); !errors.Is(err, ErrInUse) || !reflect.DeepEqual(s, before) {
		t.Error("a meta voter left", err)
	}
	s.MetaVoters = []string{"n04"}
	if err := s.Leave("n00"); !errors.Is(err, ErrInUse) {
		t.Error("a node with replicas left", err)
	}
	for range 2 {
		if err := s.Leave("n06"); err != nil || s.Node("n06").Status != Left || s.Node("n06").Departed != 1 {
			t.Error(s.Node("n06"), err)
		}
	}
	if err := errors.Join(s.Join(Node{ID: "n06"}), s.SetStatus("n06", Draining)); !errors.Is(err, ErrRemoved) || s.Node("n06").Status != Left {
		t.Error("it came back", err)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

func TestOldTombstonesAreForgotten(t *testing.T) {
	s := newState(t, 1, 1, 1)
	for i := range MaxTombstones + 10 {
		id := fmt.Sprintf("x%05d", (i*7919)%100003)
		if err := errors.Join(s.Join(Node{ID: id, PeerAddr: id}), s.Leave(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Check(); err != nil || len(s.Nodes) != 1+MaxTombstones || s.Node("x00000") != nil || s.Node(fmt.Sprintf("x%05d", 10*7919%100003)) == nil {
		t.Error(len(s.Nodes), err)
	}
}
