package server

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"testing"
	"time"

	"kahuna/resp"
)

// parking are sessions that know PARK, which blocks until the test says so, and otherwise what basic knows.
type parking struct {
	resumes chan func()
	causes  chan error
}

func newParking() *parking { return &parking{make(chan func(), 1000), make(chan error, 1000)} }

func (p *parking) serve(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
	for i, cmd := range cmds {
		if string(cmd.Args[0]) != "PARK" {
			if !basic(s, ctx, cmds[i:i+1], w) {
				return false
			}
			continue
		}
		rest := append([]Command(nil), cmds[i+1:]...)
		s.resume = func(ctx context.Context, w *resp.Writer) bool {
			w.SimpleString("RESUMED")
			return p.serve(s, ctx, rest, w)
		}
		p.resumes <- s.info.Suspend(func(cause error) { p.causes <- cause })
		return true
	}
	return true
}

// connectionsAtWork counts the goroutines of connections.
func connectionsAtWork() int {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	return bytes.Count(b.Bytes(), []byte("server.(*conn).work("))
}

// Connections over sockets whose commands block have no goroutines, and go on where they were; what was pipelined behind is served.
func TestSuspendedSocketsHaveNoGoroutine(t *testing.T) {
	const clients = 50
	p := newParking()
	r, dial := startTCP(t, Config{}, &funcHandler{serve: p.serve})
	var all []*client
	for range clients {
		c := dial()
		c.send(t, "PING\r\nPARK\r\nPING\r\n")
		c.expect(t, "+PONG\r\n")
		all = append(all, c)
	}
	for deadline := time.Now().Add(time.Minute); connectionsAtWork() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections have a goroutine", connectionsAtWork())
		}
	}
	if held := r.Stats().InputBytes; held != 0 {
		t.Errorf("silent connections hold %d bytes of buffers", held)
	}
	for i, c := range all {
		c.send(t, fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$3\r\n%03d\r\n", i))
	}
	for range clients {
		resume := <-p.resumes
		go resume()
		go resume()
	}
	for i, c := range all {
		c.expect(t, fmt.Sprintf("+RESUMED\r\n+PONG\r\n$3\r\n%03d\r\n", i))
	}
}

// A client that goes is noticed, also behind a pipeline that is not read, and so are Kill and Shutdown.
func TestSuspendedSocketsEnd(t *testing.T) {
	p := newParking()
	infos := make(chan ConnInfo, 10)
	r, dial := startTCP(t, Config{}, &funcHandler{serve: p.serve, open: func(s *funcSession) { infos <- s.info }})
	gone := dial()
	gone.send(t, "PARK\r\n")
	resume := <-p.resumes
	in, _ := pipeline(5000)
	gone.send(t, in)
	gone.Close()
	if cause := <-p.causes; cause != ErrDisconnected {
		t.Errorf("the client went: %v", cause)
	}
	resume()
	<-infos
	killed := dial()
	killed.send(t, "PARK\r\n")
	resume = <-p.resumes
	(<-infos).Kill()
	if cause := <-p.causes; cause != ErrKilled {
		t.Errorf("the client was killed: %v", cause)
	}
	resume()
	killed.expectClosed(t)
	last := dial()
	last.send(t, "PARK\r\nPING\r\n")
	resume = <-p.resumes
	down := make(chan error, 1)
	go func() { down <- r.Shutdown(t.Context()) }()
	if cause := <-p.causes; cause != ErrClosed {
		t.Errorf("the server stops: %v", cause)
	}
	resume()
	last.expect(t, "+RESUMED\r\n+PONG\r\n")
	last.expectClosed(t)
	if err := <-down; err != nil {
		t.Error(err)
	}
}
