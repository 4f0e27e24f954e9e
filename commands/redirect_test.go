package commands

import (
	"strings"
	"testing"
)

// near and far are names whose slots this node answers for, and whose slots the second node does.
const (
	near = "{b}near" // slot 3300
	far  = "{a}far"  // slot 15495
)

// TestRedirects sends commands to the port for cluster-aware clients. MOVED is for what this node has no part in, and only there.
func TestRedirects(t *testing.T) {
	const moved = "-MOVED 15495 10.0.0.2:6380\r\n"
	for _, c := range []struct {
		name string
		say  []string
		want string // of the last one
	}{
		{"a name of this node", []string{"SET " + near + " 1"}, "+OK\r\n"},
		{"a name of another", []string{"SET " + far + " 1"}, moved},
		{"a lock", []string{"LOCK " + far + " me 1000 WAIT 1000"}, moved},
		{"a sequence", []string{"SEQNEXT " + far}, moved},
		{"a subcommand's name", []string{"OBJECT ENCODING " + far}, moved},
		{"a wrong number of arguments", []string{"GET"}, "-ERR wrong number of arguments for 'get' command\r\n"},
		{"one of several names is here", []string{"MGET " + far + " " + near}, "*2\r\n$-1\r\n$-1\r\n"},
		{"all are elsewhere", []string{"MGET " + far + " " + far + "2"}, moved},
		{"names with a step", []string{"MSET " + far + " 1 " + near + " 2"}, "+OK\r\n"},
		{"names with a step, elsewhere", []string{"MSET " + far + " 1 {a}y 2"}, moved},
		{"a script's keys", []string{"EVAL return_1 1 " + far}, moved},
		{"a script's key is here", []string{"EVAL x 2 " + far + " " + near}, "-ERR"},
		{"a script without keys", []string{"EVAL x 0 " + far}, "-ERR"},
		{"a script that says wrongly how many", []string{"EVAL x nope " + far}, "-ERR value is not an integer or out of range\r\n"},
		{"a script with more than there are", []string{"EVAL x 3 " + far}, "-ERR Number of keys can't be greater than number of args\r\n"},
		{"no names", []string{"PING"}, "+PONG\r\n"},
		{"all names", []string{"DBSIZE"}, ":0\r\n"},
		{"a message", []string{"PUBLISH " + far + " x"}, ":0\r\n"},
		{"asking", []string{"ASKING"}, "+OK\r\n"},
		{"an unwatched name", []string{"WATCH " + far}, moved},
		{"after a WATCH here", []string{"WATCH " + near, "GET " + far}, "$-1\r\n"},
		{"the first of MULTI", []string{"MULTI", "GET " + far}, moved},
		{"then EXEC has nothing to run", []string{"MULTI", "GET " + far, "EXEC"}, "-EXECABORT"},
		{"the second of MULTI", []string{"MULTI", "SET " + near + " 1", "SET " + far + " 2", "EXEC"}, "*2\r\n+OK\r\n+OK\r\n"},
		{"inside BEGIN", []string{"BEGIN", "SET " + far + " 2", "GET " + far}, "$1\r\n2\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(Limits{})
			s := &client{s: r.Open(Conn{ID: 1, Cluster: true})}
			reply := ""
			for _, line := range c.say {
				reply = s.do(t, line)
			}
			if !strings.HasPrefix(reply, c.want) {
				t.Errorf("%q answers %q, want %q", c.say, reply, c.want)
			}
			plain := r.client(2, 2)
			for _, line := range c.say {
				if reply := plain.do(t, line); strings.Contains(reply, "MOVED") {
					t.Errorf("the main port answers %q to %q", reply, line)
				}
			}
		})
	}
}

// TestRedirectsInPipeline shows that replies keep their places, and that what is moved is not run.
func TestRedirectsInPipeline(t *testing.T) {
	r := newRig(Limits{})
	s := &client{s: r.Open(Conn{ID: 1, Cluster: true})}
	got := s.send([]string{"SET", near, "1"}, []string{"INCR", far}, []string{"INCR", near})
	if want := "+OK\r\n-MOVED 15495 10.0.0.2:6380\r\n:2\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := r.client(2, 2).do(t, "EXISTS "+far); got != ":0\r\n" {
		t.Error("what was moved was run", got)
	}
	r.cluster.unknown = true
	if got := s.do(t, "INCR "+far); got != ":1\r\n" {
		t.Errorf("when nobody is known to lead: %q", got)
	}
}

// TestClusterPort shows what tells the two ports apart beside MOVED.
func TestClusterPort(t *testing.T) {
	r := newRig(Limits{})
	s := &client{s: r.Open(Conn{ID: 1, Cluster: true})}
	if got := s.do(t, "INFO"); !strings.Contains(got, "cluster_enabled:1\r\n") || !strings.Contains(got, "redis_mode:cluster\r\n") {
		t.Error(got)
	}
	if got := s.do(t, "HELLO"); !strings.Contains(got, "mode\r\n$7\r\ncluster\r\n") {
		t.Error(got)
	}
	r.cluster.unknown = true
	if got := s.do(t, "CLUSTER INFO"); !strings.Contains(got, "cluster_state:fail\r\n") || !strings.Contains(got, "cluster_slots_ok:8192\r\n") {
		t.Error(got)
	}
}

// TestOwnAddress shows what clients are told by a node that knows no address of its own: the one that they came to.
func TestOwnAddress(t *testing.T) {
	r := newRig(Limits{})
	for i := range r.cluster.state.Nodes {
		r.cluster.state.Nodes[i].ClusterAddr = ""
	}
	for port, s := range map[string]*client{"6380": {s: r.Open(Conn{ID: 1, Local: "10.9.9.9:6380", Cluster: true})}, "6380 of the main port": {s: r.Open(Conn{ID: 2, Local: "10.9.9.9:6379"})}} {
		if got := s.do(t, "CLUSTER SLOTS"); !strings.Contains(got, "$8\r\n10.9.9.9\r\n:6380\r\n") {
			t.Errorf("%s: %q", port, got)
		}
	}
}

func TestOrders(t *testing.T) {
	r := newRig(Limits{})
	s := r.client(1, 2)
	for _, line := range []string{"NODE DRAIN n2", "NODE DRAIN n2 off", "NODE LEAVE n3", "PARTITION LEADER 2 n3", "PARTITION MOVE 1 FROM n2 TO n3"} {
		if got := s.do(t, line); got != "+OK\r\n" {
			t.Errorf("%s: %q", line, got)
		}
	}
	for _, line := range []string{"PARTITION SPLIT 1", "PARTITION SPLIT 1 AT 16383", "PARTITION SPLIT 1 AT 16384"} {
		if got := s.do(t, line); got != ":9\r\n" {
			t.Errorf("%s: %q", line, got)
		}
	}
	want := "drain n2 false, drain n2 true, leave n3, lead 2 n3, move 1 n2 n3, split 1 the middle, split 1 slot 16383, split 1 slot 3025 \"16384\""
	if got := strings.Join(r.cluster.orders, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := s.do(t, "NODE DRAIN n2 ON"); got != "-ERR syntax error\r\n" {
		t.Error(got)
	}
	r.cluster.silent = "2222222222222222222222222222222222222222"
	if got := s.do(t, "NODE LEAVE n3"); got != "-ERR it does not answer\r\n" {
		t.Error(got)
	}
}
