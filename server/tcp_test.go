package server

import (
	"context"
	"net"
	"strings"
	"testing"

	"kahuna/resp"
)

func TestPipelineOverTCP(t *testing.T) {
	var batches int
	h := &funcHandler{serve: func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		batches++
		return basic(s, ctx, cmds, w)
	}}
	r, dial := startTCP(t, Config{}, h)
	c := dial()
	in, out := pipeline(100)
	c.send(t, in)
	c.expect(t, out)
	in, out = pipeline(10_000)
	go c.Write([]byte(in))
	c.expect(t, out)
	st := r.Stats()
	if st.Commands != 10_100 || st.Batches != int64(batches) || st.BytesOut == 0 || st.BytesIn == 0 {
		t.Errorf("stats %+v, %d batches", st, batches)
	}
	if batches > 1000 {
		t.Errorf("10,100 pipelined commands came in %d batches", batches)
	}
}

// A client that still sends when it is told of its error must be able to read it.
func TestProtocolErrorIsReadable(t *testing.T) {
	r, dial := startTCP(t, Config{}, &funcHandler{serve: basic})
	for range 20 {
		c := dial()
		c.send(t, "PING\r\n*1\r\n$-5\r\n"+strings.Repeat("x", 100_000))
		c.expect(t, "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n")
		c.expectClosed(t)
		c.Close()
	}
	if st := r.Stats(); st.ProtocolErrors != 20 {
		t.Errorf("%d protocol errors counted", st.ProtocolErrors)
	}
}

func TestQuitAnswersBeforeClosing(t *testing.T) {
	_, dial := startTCP(t, Config{}, &funcHandler{serve: basic})
	c := dial()
	c.send(t, "PING\r\nQUIT\r\nPING\r\n"+strings.Repeat("PING\r\n", 50_000))
	c.expect(t, "+PONG\r\n+OK\r\n")
	c.expectClosed(t)
}

func TestHalfClosedClientGetsItsReplies(t *testing.T) {
	_, dial := startTCP(t, Config{}, &funcHandler{serve: basic})
	c := dial()
	c.send(t, "PING\r\nPING\r\n*1\r\n$4\r\nPI")
	c.Conn.(*net.TCPConn).CloseWrite()
	c.expect(t, "+PONG\r\n+PONG\r\n")
	c.expectClosed(t)
}

func TestHTTPIsClosedWithoutAReply(t *testing.T) {
	r, dial := startTCP(t, Config{}, &funcHandler{serve: basic})
	c := dial()
	c.send(t, "POST / HTTP/1.1\r\nHost: localhost:6379\r\n\r\nPING\r\n")
	if n, _ := c.Read(make([]byte, 100)); n != 0 {
		t.Fatal("got a reply")
	}
	if st := r.Stats(); st.Commands != 0 || st.ProtocolErrors != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestMaxClients(t *testing.T) {
	r, dial := startTCP(t, Config{MaxClients: 2}, &funcHandler{serve: basic})
	a, b := dial(), dial()
	for _, c := range []*client{a, b} {
		c.send(t, "PING\r\n")
		c.expect(t, "+PONG\r\n")
	}
	c := dial()
	c.send(t, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n")
	c.expect(t, "-ERR max number of clients reached\r\n")
	c.expectClosed(t)
	c.Close()
	if st := r.Stats(); st.Rejected != 1 || st.Connections != 2 || st.ConnectionsTotal != 2 {
		t.Errorf("stats %+v", st)
	}
	a.send(t, "QUIT\r\n")
	a.expect(t, "+OK\r\n")
	a.expectClosed(t)
	a.Close()
	for r.Stats().Connections > 1 {
		b.send(t, "PING\r\n")
		b.expect(t, "+PONG\r\n")
	}
	d := dial()
	d.send(t, "PING\r\n")
	d.expect(t, "+PONG\r\n")
}
