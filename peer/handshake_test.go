package peer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kahuna/raftgroup"
)

// refusal dials b from a node changed by change and returns why it failed.
func refusal(t *testing.T, b *Network, change ...func(*Config)) error {
	t.Helper()
	a := node(t, "a", newHandler(), change...)
	_, err := a.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"echo x"))
	if err == nil {
		t.Fatal("it was let in")
	}
	if !errors.Is(err, raftgroup.ErrUnreachable) {
		t.Fatal("the error leaves open whether the request was handled:", err)
	}
	return err
}

func secret(s string) func(*Config) { return func(c *Config) { c.Secret = []byte(s) } }
func id(s string) func(*Config)     { return func(c *Config) { c.NodeID = s } }
func cluster(s string) func(*Config) {
	return func(c *Config) { c.ClusterID = func() string { return s } }
}

func TestStrangersAreRefusedWithAReason(t *testing.T) {
	b := node(t, "b", newHandler(), cluster("one"))
	for _, c := range []struct {
		reason string
		change func(*Config)
	}{
		{"wrong cluster secret", secret("another secret of 16 bytes")},
		{"this node uses a cluster secret, the dialing node neither", secret("")},
		{"different clusters", cluster("two")},
		{"same id", id("b")},
	} {
		err := refusal(t, b, c.change)
		refused := ErrRefused{}
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.reason) {
			t.Errorf("%v, want %q", err, c.reason)
		}
	}
	// A refusal is counted after it was told.
	until(t, "four refusals", func() bool { s := b.Stats(); return s.Refused == 4 && s.Unauthenticated == 0 })
	if s := b.Stats(); s.Refused != 4 || len(s.Peers) != 0 {
		t.Fatalf("%+v", s)
	}
	open := node(t, "open", newHandler(), secret(""))
	if err := refusal(t, open); !strings.Contains(err.Error(), "uses neither") {
		t.Fatal(err)
	}
}

func TestOneWithoutAClusterYetIsLetIn(t *testing.T) {
	member, joining := node(t, "b", newHandler(), cluster("one")), node(t, "c", newHandler(), cluster(""))
	mustCall(t, joining, member.LocalAddr(), otherKind+"echo in", "in")
	mustCall(t, member, joining.LocalAddr(), otherKind+"echo in", "in")
}

func TestWithoutProofOnlyOnLoopback(t *testing.T) {
	a, b, _ := pair(t, secret(""))
	mustCall(t, a, b.LocalAddr(), otherKind+"echo in", "in")

	l := listen(t, "127.0.0.1:0")
	if _, err := New(Config{NodeID: "x", Listener: foreignListener{l}}); err == nil || !strings.Contains(err.Error(), "not loopback") {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatal("New left the listener open:", err)
	}
	c := node(t, "c", newHandler(), secret(""), func(c *Config) { c.Listener = foreignPeers{listen(t, "127.0.0.1:0")} })
	refusal(t, c, secret(""))
	// Nor does a node give itself away to one that isn't on loopback.
	err := refusal(t, b, secret(""), func(c *Config) {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			return foreignConn{conn}, err
		}
	})
	if !strings.Contains(err.Error(), "not loopback") {
		t.Fatal(err)
	}
}

type everywhere struct{ net.Listener }

func (everywhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 7} }

var foreign = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}

type foreignListener struct{ net.Listener }

func (foreignListener) Addr() net.Addr { return foreign }

type foreignPeers struct{ net.Listener }

func (f foreignPeers) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	return foreignConn{c}, err
}

type foreignConn struct{ net.Conn }

func (foreignConn) RemoteAddr() net.Addr { return foreign }

func TestSettingsThatCannotWork(t *testing.T) {
	for _, change := range []func(*Config){
		id(""), id(strings.Repeat("x", 256)), secret("short"), cluster(strings.Repeat("x", 256)),
		func(c *Config) { c.Limits.FrameBytesMax = 5 },
		func(c *Config) { c.Advertise = strings.Repeat("x", 256) },
		func(c *Config) { c.Listener = everywhere{c.Listener} },
	} {
		cfg := Config{NodeID: "x", Secret: testSecret, Listener: listen(t, "127.0.0.1:0")}
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
	if _, err := New(Config{NodeID: "x"}); err == nil {
		t.Error("no listener was taken")
	}
}

// TestListenerMustProveItself: who answers without the secret gets no request.
func TestListenerMustProveItself(t *testing.T) {
	for name, proof := range map[string]func(transcript []byte) []byte{
		"none":  func([]byte) []byte { return nil },
		"wrong": func([]byte) []byte { return make([]byte, proofBytes) },
	} {
		l := listen(t, "127.0.0.1:0")
		rest := make(chan int, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _, _ = readHello(conn)
			_ = writeMessage(conn, nil, make40(answerChallenge))
			_, _ = readMessage(conn)
			said := putString(putString([]byte{answerWelcome}, ""), "evil")
			_ = writeMessage(conn, nil, append(said, proof(nil)...))
			b, _ := io.ReadAll(conn)
			rest <- len(b)
		}()
		a := node(t, "a", newHandler())
		_, err := a.Call(t.Context(), l.Addr().String(), []byte(otherKind+"echo x"))
		if err == nil || !strings.Contains(err.Error(), "did not prove") {
			t.Fatal(name, err)
		}
		if n := <-rest; n != 0 {
			t.Fatal(name, "it got", n, "bytes")
		}
		_ = l.Close()
	}
}

func make40(kind byte) []byte {
	return append([]byte{kind, 1, 0, 0, 0}, make([]byte, nonceBytes)...)
}

// TestProofsAreBound: what a dialer proves in one handshake is worth nothing in another, in the other role, or for another cluster.
func TestProofsAreBound(t *testing.T) {
	s := self{mode: modeSecret, secret: testSecret}
	transcript := []byte("hello and challenge")
	proof := s.prove(roleDialer, transcript)
	if !s.proven(roleDialer, transcript, proof) {
		t.Fatal("a right proof is refused")
	}
	plain := hmac.New(sha256.New, testSecret)
	plain.Write(transcript)
	for name, ok := range map[string]bool{
		"role":       s.proven(roleListener, transcript, proof),
		"transcript": s.proven(roleDialer, []byte("hello and challengf"), proof),
		"short":      s.proven(roleDialer, transcript, proof[:31]),
		"empty":      s.proven(roleDialer, transcript, nil),
		"no role":    s.proven(roleDialer, transcript, plain.Sum(nil)),
		"secret":     self{mode: modeSecret, secret: []byte("x")}.proven(roleDialer, transcript, proof),
	} {
		if ok {
			t.Error(name, "does not matter")
		}
	}
}

// TestReplayIsRefused sends a listener what a true dialer sent before.
func TestReplayIsRefused(t *testing.T) {
	b := node(t, "b", newHandler())
	first := &recorded{Conn: dialTo(t, b)}
	s := self{identity: identity{node: "raw"}, mode: modeSecret, secret: testSecret, random: bytes.NewReader(make([]byte, 64))}
	if _, err := s.greet(first, purposeCalls); err != nil {
		t.Fatal(err)
	}
	again := dialTo(t, b)
	if _, err := again.Write(first.sent); err != nil {
		t.Fatal(err)
	}
	if _, err := readAnswer(again, answerChallenge); err != nil {
		t.Fatal(err)
	}
	if _, err := readAnswer(again, answerWelcome); !errors.As(err, new(ErrRefused)) {
		t.Fatal(err)
	}
}

type recorded struct {
	net.Conn
	sent []byte
}

func (r *recorded) Write(p []byte) (int, error) {
	r.sent = append(r.sent, p...)
	return r.Conn.Write(p)
}

func dialTo(t *testing.T, b *Network) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestVersions(t *testing.T) {
	b := node(t, "b", newHandler())
	for major, reason := range map[uint16]string{2: "protocol version 2 is newer than this node's 1", 0: "too old"} {
		conn := dialTo(t, b)
		// Of a newer version nothing but the version is known.
		if err := writeMessage(conn, magic[:], append(binary.LittleEndian.AppendUint16(nil, major), 9, 9, 9)); err != nil {
			t.Fatal(err)
		}
		refused := ErrRefused{}
		if _, err := readAnswer(conn, answerChallenge); !errors.As(err, &refused) || !strings.Contains(refused.Reason, reason) {
			t.Fatal(err)
		}
	}
	// A newer minor version may say more.
	h := hello{version: version{1, 7}, mode: modeSecret, purpose: purposeCalls, who: identity{"c", "n", "a"}}
	got, err := decodeHello(append(h.encode(), "more"...))
	if err != nil || got != h {
		t.Fatal(got, err)
	}
}

// TestGarbageBeforeAuthentication: whatever comes, the connection ends, and what was read is bounded.
func TestGarbageBeforeAuthentication(t *testing.T) {
	read := new(atomic.Int64)
	h := newHandler()
	b := node(t, "b", h, func(c *Config) { c.Listener = meteredListener{listen(t, "127.0.0.1:0"), read} })
	whole := hello{version: version{1, 0}, mode: modeSecret, purpose: purposeCalls, who: identity{"", "n", "a"}}.encode()
	begin := slices.Concat(magic[:], []byte{byte(len(whole)), byte(len(whole) >> 8)}, whole)
	for name, garbage := range map[string][]byte{
		"http":        []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"redis":       []byte("*1\r\n$4\r\nPING\r\n"),
		"tls":         {0x16, 0x03, 0x01, 0x02, 0x00, 1, 2, 3},
		"long hello":  append(bytes.Clone(magic[:]), 0xff, 0xff),
		"empty hello": append(bytes.Clone(magic[:]), 0, 0),
		"short hello": append(bytes.Clone(magic[:]), 6, 0, 1, 0, 0, 0, 1, 1),
		"long name":   append(bytes.Clone(magic[:]), append([]byte{39, 0, 1, 0, 0, 0, 1, 1}, append(make([]byte, 32), 0xff)...)...),
		"no proof":    append(bytes.Clone(begin), appendFrame(nil, kindRequest, 1, make([]byte, 4), []byte(otherKind+"hang"))...),
		"zero proof":  append(append(bytes.Clone(begin), 33, 0), make([]byte, 33)...),
		"long proof":  append(append(bytes.Clone(begin), 0xff, 0x03), make([]byte, 0x3ff)...),
	} {
		conn := dialTo(t, b)
		_, _ = conn.Write(append(garbage, bytes.Repeat([]byte("x"), 100<<10)...)) // it may be cut off meanwhile
		got, _ := io.ReadAll(conn)
		if len(got) > 2*messageMax {
			t.Fatal(name, "got", len(got), "bytes")
		}
		until(t, "it is gone", func() bool { s := b.Stats(); return s.Connections == 0 && s.Unauthenticated == 0 })
		if n := read.Swap(0); n > unprovedBytesMax {
			t.Fatal(name, "of a stranger", n, "bytes were read")
		}
	}
	if h.running.Load() != 0 || b.Stats().Refused != 10 {
		t.Fatalf("%+v", b.Stats())
	}
}

type meteredListener struct {
	net.Listener
	read *atomic.Int64
}

func (l meteredListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c, l.read}, nil
}

type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func TestStrangersAreLimited(t *testing.T) {
	b := node(t, "b", newHandler(), func(c *Config) {
		c.Limits.UnauthenticatedMax = 8 // 2 of one host
		c.Limits.HandshakeTimeout = time.Hour
	})
	first, second := dialTo(t, b), dialTo(t, b)
	until(t, "they are there", func() bool { return b.Stats().Unauthenticated == 2 })
	third := dialTo(t, b)
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Fatal("a third one was let in")
	}
	if s := b.Stats(); s.Unauthenticated != 2 || s.Refused != 1 {
		t.Fatalf("%+v", s)
	}
	_, _ = first.Close(), second.Close()
	until(t, "they are gone", func() bool { return b.Stats().Unauthenticated == 0 })
	a := node(t, "a", newHandler())
	mustCall(t, a, b.LocalAddr(), otherKind+"echo in", "in")
}

func FuzzHandshake(f *testing.F) {
	whole := hello{version: version{1, 0}, mode: modeSecret, purpose: purposeCalls, who: identity{"c", "n", "a"}}.encode()
	f.Add(slices.Concat(magic[:], []byte{byte(len(whole)), 0}, whole, []byte{33, 0}, make([]byte, 33)))
	f.Add(slices.Concat([]byte{5, 0, answerRefusal}, []byte("none")))
	f.Add(slices.Concat([]byte{37, 0}, make40(answerChallenge), []byte{4, 0, answerWelcome, 0, 1, 'x'}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := self{identity: identity{"c", "me", "addr"}, mode: modeSecret, secret: testSecret, random: bytes.NewReader(make([]byte, nonceBytes))}
		if _, err := s.receive(half{bytes.NewReader(b), io.Discard}); err == nil {
			t.Fatal("a stranger was let in")
		}
		s.random = bytes.NewReader(make([]byte, nonceBytes))
		if _, err := s.greet(half{bytes.NewReader(b), io.Discard}, purposeCalls); err == nil {
			t.Fatal("a stranger was believed")
		}
	})
}

type half struct {
	io.Reader
	io.Writer
}

func TestConnectionsAreLimited(t *testing.T) {
	b := node(t, "b", newHandler(), func(c *Config) { c.Limits.ConnectionsMax = 1 })
	rawConn(t, b, purposeCalls)
	if _, err := dialTo(t, b).Read(make([]byte, 1)); err == nil {
		t.Fatal("a second one was let in")
	}
	if s := b.Stats(); s.Connections != 1 || s.Refused != 1 {
		t.Fatalf("%+v", s)
	}
}

// TestDialerJudgesToo: a listener that takes anybody is still not believed when it belongs elsewhere, or is the dialer itself.
func TestDialerJudgesToo(t *testing.T) {
	for who, reason := range map[identity]string{{cluster: "two", node: "b"}: "different clusters", {cluster: "one", node: "a"}: "same id"} {
		l := self{identity: identity{node: "any"}, mode: modeSecret, secret: testSecret, random: bytes.NewReader(make([]byte, 64))}
		d := self{identity: identity{cluster: "one", node: "a"}, mode: modeSecret, secret: testSecret, random: bytes.NewReader(make([]byte, 64))}
		transcript := []byte("hello and challenge")
		l.identity = who
		welcome := new(bytes.Buffer)
		if err := l.welcome(welcome, transcript); err != nil {
			t.Fatal(err)
		}
		message, err := readMessage(welcome)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.believe(transcript, message); err == nil || !strings.Contains(err.Error(), reason) {
			t.Fatal(err)
		}
	}
}
