package commands

import (
	"strings"
	"testing"
)

// TestReadOnly says which commands go to this node's replicas: reads of names of which it has a replica, after READONLY, on the cluster port.
func TestReadOnly(t *testing.T) {
	const followed, moved = "{d}x", "-MOVED 11298 10.0.0.2:6380\r\n"
	for _, c := range []struct {
		name   string
		say    []string
		want   string // of the last one
		reads  int    // operations that were given to replicas
		behind bool   // replicas are too far behind to answer several
	}{
		{"without it", []string{"GET " + followed}, moved, 0, false},
		{"a read", []string{"READONLY", "GET " + followed}, "$-1\r\n", 1, false},
		{"several in one partition", []string{"READONLY", "MGET " + followed + " {d}y"}, "*2\r\n$-1\r\n$-1\r\n", 2, false},
		{"several, too far behind", []string{"READONLY", "MGET " + followed + " {d}y"}, "*2\r\n$-1\r\n$-1\r\n", 0, true},
		{"a write", []string{"READONLY", "SET " + followed + " 1"}, moved, 0, false},
		{"no replica here", []string{"READONLY", "GET " + far}, "-MOVED 15495 10.0.0.2:6380\r\n", 0, false},
		{"led here", []string{"READONLY", "GET " + near}, "$-1\r\n", 1, false},
		{"taken back", []string{"READONLY", "READWRITE", "GET " + followed}, moved, 0, false},
		{"in MULTI", []string{"READONLY", "MULTI", "GET " + followed}, moved, 0, false},
		{"in BEGIN", []string{"READONLY", "BEGIN", "GET " + followed}, "$-1\r\n", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(Limits{})
			r.cluster.behind = c.behind
			s := &client{s: r.Open(Conn{ID: 1, Cluster: true})}
			reply := ""
			for _, line := range c.say {
				reply = s.do(t, line)
			}
			if reply != c.want || r.cluster.replicaReads != c.reads {
				t.Errorf("%q answers %q with %d reads of replicas, want %q with %d", c.say, reply, r.cluster.replicaReads, c.want, c.reads)
			}
		})
	}
}

// TestReadOnlyOnTheOtherPort has no effect: reads are never stale there.
func TestReadOnlyOnTheOtherPort(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	if reply := c.do(t, "READONLY") + c.do(t, "GET x"); reply != "+OK\r\n$-1\r\n" || r.cluster.replicaReads > 0 {
		t.Errorf("%q, %d reads of replicas", reply, r.cluster.replicaReads)
	}
}

// TestReplicasInSlots: they are told to those who read from them, and to nobody else, whose clients might take them for something else.
func TestReplicasInSlots(t *testing.T) {
	r := newRig(Limits{})
	s := &client{s: r.Open(Conn{ID: 1, Cluster: true})}
	before := s.do(t, "CLUSTER SLOTS")
	s.do(t, "READONLY")
	after := s.do(t, "CLUSTER SLOTS")
	if third := "10.0.0.3"; strings.Contains(before, third) || !strings.Contains(after, third) {
		t.Errorf("%q, then %q", before, after)
	}
}
