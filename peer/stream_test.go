package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"kahuna/raftgroup"
)

// summing answers with the number and the checksum of the bytes.
func summing(_ context.Context, request []byte, body io.Reader) ([]byte, error) {
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, body)
	return fmt.Appendf(nil, "%s %d %x", request, n, sum.Sum32()), err
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	return b
}

func TestStreams(t *testing.T) {
	a, b, h := pair(t)
	h.stream = summing
	for _, size := range []int{0, 1, streamChunkBytes - 1, streamChunkBytes, 3<<20 + 7} {
		data := randomBytes(size)
		got, err := a.Stream(t.Context(), b.LocalAddr(), []byte("s"), bytes.NewReader(data))
		if want := fmt.Sprintf("s %d %x", size, crc32.ChecksumIEEE(data)); err != nil || string(got) != want {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
	}
	until(t, "connections are closed", func() bool { return b.Stats().Connections == 0 && a.Stats().Connections == 0 })
	if s := b.Stats().Peers[0]; s.StreamsIn != 5 || s.BytesIn < 3<<20 {
		t.Fatalf("%+v", s)
	}
	own := newHandler()
	own.stream = summing
	c := node(t, "c", own)
	if got, err := c.Stream(t.Context(), c.LocalAddr(), []byte("own"), strings.NewReader("abc")); err != nil || string(got) != "own 3 352441c2" {
		t.Fatalf("%q %v", got, err)
	}
}

// gated gives out data, then what end returns.
type gated struct {
	data io.Reader
	end  func() error
}

func (g gated) Read(p []byte) (int, error) {
	n, err := g.data.Read(p)
	if err == io.EOF {
		err = g.end()
	}
	return n, err
}

func TestCutStreamIsAnErrorAtTheReceiver(t *testing.T) {
	received := make(chan error, 1)
	sawEnd := make(chan bool, 1)
	h := newHandler()
	h.stream = func(ctx context.Context, _ []byte, body io.Reader) ([]byte, error) {
		_, err := io.Copy(io.Discard, body) // nil at io.EOF
		received <- err
		<-ctx.Done()
		sawEnd <- true
		return nil, err
	}
	b := node(t, "b", h)
	errBody := errors.New("no more to read")
	for name, cut := range map[string]func(a *Network, cancel func()) error{
		"by its body": func(*Network, func()) error { return errBody },
		"by its context": func(_ *Network, cancel func()) error {
			cancel()
			return nil
		},
		"by its connection": func(a *Network, _ func()) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			for c := range a.conns {
				_ = c.Close()
			}
			return nil
		},
	} {
		a := node(t, "a", newHandler())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := a.Stream(ctx, b.LocalAddr(), []byte("s"), gated{bytes.NewReader(randomBytes(1 << 20)), func() error { return cut(a, cancel) }})
		if err == nil || errors.Is(err, raftgroup.ErrUnreachable) {
			t.Fatal(name, err)
		}
		if err := <-received; !errors.Is(err, ErrStreamCut) || errors.Is(err, io.EOF) {
			t.Fatal(name, "the receiver saw", err)
		}
		<-sawEnd
	}
}

func TestEarlyAnswerToAStream(t *testing.T) {
	a, b, h := pair(t)
	h.stream = func(_ context.Context, _ []byte, body io.Reader) ([]byte, error) {
		_, err := io.ReadFull(body, make([]byte, 10))
		return []byte("enough"), err
	}
	endless := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	got, err := a.Stream(t.Context(), b.LocalAddr(), []byte("s"), endless)
	if err != nil || string(got) != "enough" {
		t.Fatalf("%q %v", got, err)
	}
	h.stream = func(context.Context, []byte, io.Reader) ([]byte, error) { return nil, errors.New("not wanted") }
	if _, err = a.Stream(t.Context(), b.LocalAddr(), []byte("s"), endless); !errors.As(err, new(RemoteError)) {
		t.Fatal(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestStreamDoesNotHoldUpCalls(t *testing.T) {
	a, b, h := pair(t)
	entered, release := make(chan bool), make(chan bool)
	h.stream = func(_ context.Context, _ []byte, body io.Reader) ([]byte, error) {
		entered <- true
		<-release // does not read: the connection fills up
		_, err := io.Copy(io.Discard, body)
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		_, err := a.Stream(context.Background(), b.LocalAddr(), []byte("s"), io.LimitReader(readerFunc(func(p []byte) (int, error) { return len(p), nil }), 32<<20))
		done <- err
	}()
	<-entered
	for range 100 {
		mustCall(t, a, b.LocalAddr(), raftKind+"echo beat", "beat")
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestStreamLimits(t *testing.T) {
	for _, limited := range []string{"a", "b"} {
		a, b, h := pair(t, func(c *Config) {
			if c.NodeID == limited {
				c.Limits.StreamsMax = 1
			}
		})
		entered, release := make(chan bool, 1), make(chan bool)
		h.stream = func(context.Context, []byte, io.Reader) ([]byte, error) {
			entered <- true
			<-release
			return nil, nil
		}
		done := make(chan error, 1)
		go func() {
			_, err := a.Stream(context.Background(), b.LocalAddr(), nil, strings.NewReader(""))
			done <- err
		}()
		<-entered
		if _, err := a.Stream(t.Context(), b.LocalAddr(), nil, strings.NewReader("")); !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedStreams(t *testing.T) {
	request := appendFrame(nil, kindRequest, 1, make([]byte, 4), []byte("s"))
	data := appendFrame(nil, kindData, 1, nil, []byte("abc"))
	for name, tail := range map[string][]byte{
		"wrong total": appendFrame(data, kindEnd, 1, nil, []byte{4, 0, 0, 0, 0, 0, 0, 0}),
		"short end":   appendFrame(data, kindEnd, 1, nil, []byte{3}),
		"call":        appendFrame(data, kindRequest, 1, make([]byte, 4), nil),
		"half frame":  data[:10],
		"abort":       appendFrame(data, kindAbort, 1, nil, []byte("x")),
		"nothing":     nil,
	} {
		received := make(chan error, 1)
		h := newHandler()
		h.stream = func(_ context.Context, _ []byte, body io.Reader) ([]byte, error) {
			_, err := io.Copy(io.Discard, body)
			received <- err
			return nil, err
		}
		b := node(t, "b", h)
		conn := rawConn(t, b, purposeStream)
		if _, err := conn.Write(append(bytes.Clone(request), tail...)); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := <-received; !errors.Is(err, ErrStreamCut) || errors.Is(err, io.EOF) {
			t.Fatal(name, err)
		}
		_ = conn.Close()
	}
}
