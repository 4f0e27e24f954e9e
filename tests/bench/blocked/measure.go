package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kahuna/tests/bench/resp"
	"kahuna/tests/bench/system"
)

const (
	bytesPerMiB = 1 << 20
	settle      = 5 * time.Second // for memory to be given back
	patience    = time.Minute
	leaseMilli  = "600000"
	waitMilli   = "3600000"
	namesTried  = 1000
)

// measurement is one run against a system that answers.
type measurement struct {
	o     options
	inst  *system.Instance
	lock  string
	conns []net.Conn
}

func (m *measurement) run(ctx context.Context) error {
	defer m.leave()
	at, err := m.place()
	if err != nil {
		return err
	}
	if err := m.hold(at); err != nil {
		return err
	}
	if err := m.look(ctx, "before"); err != nil {
		return err
	}
	began := time.Now()
	if err := m.block(ctx, at); err != nil {
		return err
	}
	fmt.Printf("%d clients wait at node %d after %v\n", m.o.clients, at+1, time.Since(began).Round(time.Millisecond))
	if err := m.look(ctx, "while they wait"); err != nil {
		return err
	}
	if err := m.profiles(); err != nil {
		return err
	}
	m.leave()
	if err := m.await(ctx, at, 0); err != nil {
		return err
	}
	return m.look(ctx, "after they left")
}

// place chooses a node and a lock that it leads, or that another one leads.
func (m *measurement) place() (node int, err error) {
	port, err := resp.Dial(m.inst.Listen[0][1])
	if err != nil {
		return 0, err
	}
	defer port.Close()
	for i := range namesTried {
		var r resp.Reply
		m.lock = fmt.Sprint("blocked:", i)
		if err := port.Call(&r, "LOCK", m.lock, "somebody", leaseMilli); err != nil {
			return 0, err
		}
		moved := r.Kind == resp.Error && strings.HasPrefix(string(r.Bytes), "MOVED")
		if r.Kind == resp.Error && !moved {
			return 0, fmt.Errorf("LOCK: %s", r.String())
		}
		if moved == (m.o.through == "other") {
			return 0, nil
		}
	}
	return 0, errors.New("no lock was found that is led there")
}

// hold has somebody hold the lock for longer than the measurement takes.
func (m *measurement) hold(at int) error {
	c, err := resp.Dial(m.inst.Addrs[at])
	if err != nil {
		return err
	}
	defer c.Close()
	var r resp.Reply
	if err := c.Call(&r, "LOCK", m.lock, "somebody", leaseMilli); err != nil {
		return err
	}
	if r.Kind != resp.Integer {
		return fmt.Errorf("LOCK: %s", r.String())
	}
	return nil
}

// block opens the connections, has each wait, and sees that all do.
func (m *measurement) block(ctx context.Context, at int) error {
	for i := range m.o.clients {
		c, err := net.Dial("tcp", m.inst.Addrs[at])
		if err != nil {
			return err
		}
		m.conns = append(m.conns, c)
		if _, err := c.Write(m.command(i)); err != nil {
			return err
		}
	}
	return m.await(ctx, at, m.o.clients)
}

func (m *measurement) command(client int) []byte {
	words := []string{"LOCK", m.lock, fmt.Sprint("owner-", client), leaseMilli, "WAIT", waitMilli}
	if m.o.what == "changes" {
		words = []string{"KCHANGES", "blocked:", "BLOCK", waitMilli}
	}
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return resp.AppendCommand(nil, args...)
}

// await waits until so many clients of a node wait, as it tells itself.
func (m *measurement) await(ctx context.Context, at, clients int) error {
	c, err := resp.Dial(m.inst.Addrs[at])
	if err != nil {
		return err
	}
	defer c.Close()
	want := fmt.Sprintf("blocked_clients:%d\r\n", clients)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		var r resp.Reply
		if err := c.Call(&r, "INFO", "clients"); err != nil {
			return err
		}
		if strings.Contains(string(r.Bytes), want) {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("not all clients wait after %v", patience)
}

func (m *measurement) leave() {
	for _, c := range m.conns {
		_ = c.Close() // nothing is left to be read
	}
	m.conns = nil
}

// look tells what each node uses.
func (m *measurement) look(ctx context.Context, when string) error {
	if err := pause(ctx, settle); err != nil {
		return err
	}
	before, err := m.usage()
	if err != nil {
		return err
	}
	if err := pause(ctx, m.o.idle); err != nil {
		return err
	}
	after, err := m.usage()
	if err != nil {
		return err
	}
	for n := range after {
		cpu := 100 * float64(after[n].CPU-before[n].CPU) / float64(m.o.idle)
		fmt.Printf("%-16s node %d: %6.1f MiB, %5.2f %% of a core\n", when, n+1, float64(after[n].RSSBytes)/bytesPerMiB, cpu)
	}
	return nil
}

func (m *measurement) usage() (all []system.Usage, err error) {
	for _, pid := range m.inst.PIDs() {
		u, err := system.ReadUsage(pid)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// profiles keeps what the nodes' memory is used for.
func (m *measurement) profiles() error {
	if m.o.profile == "" {
		return nil
	}
	for n, listen := range m.inst.Listen {
		for _, kind := range []string{"heap", "goroutine", "allocs"} {
			if err := fetch(fmt.Sprintf("http://%s/debug/pprof/%s", listen[3], kind), filepath.Join(m.o.profile, fmt.Sprintf("%s-%d.pprof", kind, n+1))); err != nil {
				return err
			}
		}
	}
	return nil
}

func fetch(url, path string) (err error) {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, answer.Body)
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
