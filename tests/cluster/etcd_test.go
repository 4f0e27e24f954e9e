package cluster

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// etcds are three etcds on loopback, measured beside. They belong to one goroutine.
type etcds struct {
	t       *testing.T
	program string
	dir     string
	clients [3]string // URLs
	peers   [3]string
	cmds    [3]*exec.Cmd
	http    http.Client
}

// startEtcds starts them; nil when there is no etcd on this machine.
func startEtcds(t *testing.T) *etcds {
	t.Helper()
	program, err := exec.LookPath("etcd")
	if err != nil {
		t.Log("there is no etcd to measure beside:", err)
		return nil
	}
	e := &etcds{t: t, program: program, dir: t.TempDir(), http: http.Client{Timeout: 200 * time.Millisecond}}
	for i := range 3 {
		e.clients[i], e.peers[i] = freeURL(t), freeURL(t)
	}
	for i := range 3 {
		e.start(i)
	}
	t.Cleanup(func() {
		for i := range 3 {
			e.kill(i)
		}
	})
	e.await(func() bool { return e.put(0) && e.put(1) && e.put(2) })
	return e
}

// freeURL is on a port that was free a moment ago.
func freeURL(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func (e *etcds) start(i int) {
	var members []string
	for k, peer := range e.peers {
		members = append(members, fmt.Sprintf("n%d=%s", k, peer))
	}
	e.cmds[i] = exec.Command(e.program, "--name", fmt.Sprint("n", i), "--data-dir", filepath.Join(e.dir, fmt.Sprint(i)),
		"--listen-client-urls", e.clients[i], "--advertise-client-urls", e.clients[i], "--listen-peer-urls", e.peers[i],
		"--initial-advertise-peer-urls", e.peers[i], "--initial-cluster", strings.Join(members, ","), "--log-level", "error")
	if err := e.cmds[i].Start(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *etcds) kill(i int) {
	if e.cmds[i] != nil {
		e.cmds[i].Process.Kill()
		e.cmds[i].Wait() // it was killed
		e.cmds[i] = nil
	}
}

// ask sends a request to one of them.
func (e *etcds) ask(i int, path, body string, answer any) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, e.clients[i]+path, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	r, err := e.http.Do(request)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, b)
	}
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(b, answer)
}

// put writes through one of them, and tells whether it was done in time.
func (e *etcds) put(i int) bool {
	k := base64.StdEncoding.EncodeToString([]byte("k"))
	return e.ask(i, "/v3/kv/put", fmt.Sprintf(`{"key":%q,"value":%q}`, k, k), nil) == nil
}

// leader is the one that leads; -1 when none says so.
func (e *etcds) leader() int {
	for i := range 3 {
		var s struct {
			Leader string
			Header struct {
				MemberID string `json:"member_id"`
			}
		}
		if err := e.ask(i, "/v3/maintenance/status", "{}", &s); err == nil && s.Leader != "" && s.Leader == s.Header.MemberID {
			return i
		}
	}
	return -1
}

func (e *etcds) await(ok func() bool) {
	e.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			e.t.Fatal("etcd does not answer")
		}
	}
}

// failover kills the leader, and tells after how long a write through another one was done.
func (e *etcds) failover() time.Duration {
	e.t.Helper()
	leader := -1
	e.await(func() bool { leader = e.leader(); return leader >= 0 && e.put(0) && e.put(1) && e.put(2) })
	began := time.Now()
	e.kill(leader)
	e.await(func() bool { return e.put((leader + 1) % 3) })
	took := time.Since(began)
	e.start(leader)
	return took
}
