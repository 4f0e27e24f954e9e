package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kahuna/resp"
)

// simulate runs a test with a server over pipes, in virtual time.
func simulate(t *testing.T, cfg Config, h *funcHandler, test func(t *testing.T, r *running, ln *pipeListener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(cfg, h, ln)
		test(t, r, ln)
		r.stop(t)
		if total := r.Stats().ConnectionsTotal; int64(h.sessionsClosed()) != total {
			t.Errorf("%d sessions closed of %d", h.sessionsClosed(), total)
		}
	})
}

func TestBytesOneByOne(t *testing.T) {
	simulate(t, Config{}, &funcHandler{serve: basic}, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		defer c.Close()
		in, out := pipeline(3)
		go func() {
			for i := range in {
				c.Write([]byte(in[i : i+1]))
			}
		}()
		c.expect(t, out)
	})
}

func TestRefusedCommandKeepsTheConnection(t *testing.T) {
	h := &funcHandler{serve: basic, limits: Limits{BulkBytes: 1000}}
	simulate(t, Config{}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		defer c.Close()
		go c.Write([]byte("PING\r\n*2\r\n$4\r\nECHO\r\n$100000\r\n" + strings.Repeat("x", 100_000) + "\r\nPING\r\n"))
		c.expect(t, "+PONG\r\n-ERR argument is too large (limit 1000 bytes)\r\n+PONG\r\n")
		synctest.Wait()
		if st := r.Stats(); st.Refused != 1 || st.ProtocolErrors != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestAuthenticationChangesLimitsInsideAPipeline(t *testing.T) {
	h := &funcHandler{limits: Limits{Unauthenticated: true}}
	h.serve = func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		if string(cmds[0].Args[0]) == "AUTH" {
			s.lim.Unauthenticated = false
		}
		return basic(s, ctx, cmds, w)
	}
	simulate(t, Config{}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		defer c.Close()
		big := strings.Repeat("b", 20_000)
		go c.Write([]byte("PING\r\nAUTH pw\r\n*2\r\n$4\r\nECHO\r\n$20000\r\n" + big + "\r\n"))
		c.expect(t, "+PONG\r\n+PONG\r\n$20000\r\n"+big+"\r\n")

		d := ln.dial()
		defer d.Close()
		go d.Write([]byte("PING\r\n*2\r\n$4\r\nECHO\r\n$20000\r\n" + big + "\r\n"))
		d.expect(t, "+PONG\r\n-ERR Protocol error: unauthenticated bulk length\r\n")
		d.expectClosed(t)
	})
}

func TestPanicEndsOneConnection(t *testing.T) {
	var log bytes.Buffer
	h := &funcHandler{serve: func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		if string(cmds[0].Args[0]) == "BOOM" {
			w.SimpleString("half a reply")
			panic("the session is broken")
		}
		return basic(s, ctx, cmds, w)
	}}
	simulate(t, Config{Logger: zerolog.New(&log)}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c, other := ln.dial(), ln.dial()
		defer other.Close()
		c.send(t, "BOOM\r\n")
		c.expectClosed(t)
		other.send(t, "PING\r\n")
		other.expect(t, "+PONG\r\n")
		synctest.Wait()
		if st := r.Stats(); st.Panics != 1 || st.Connections != 1 {
			t.Errorf("stats %+v", st)
		}
		if !strings.Contains(log.String(), "the session is broken") || !strings.Contains(log.String(), "conn_test.go") {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestPanicWhereverASessionIsCalled(t *testing.T) {
	var closes atomic.Int64
	h := panicking{&closes}
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		r := start(Config{}, h, ln)
		for range 2 {
			ln.dial().expectClosed(t)
		}
		r.stop(t)
		if st := r.Stats(); st.Panics != 4 || closes.Load() != 2 {
			t.Errorf("%d panics counted, %d sessions closed", st.Panics, closes.Load())
		}
	})
}

// panicking is a handler whose sessions panic in Limits and in Close.
type panicking struct{ closes *atomic.Int64 }

func (p panicking) Open(ConnInfo) Session                               { return p }
func (p panicking) Serve(context.Context, []Command, *resp.Writer) bool { return true }
func (p panicking) Resume(context.Context, *resp.Writer) bool           { return true }
func (p panicking) Limits() Limits                                      { panic("limits") }
func (p panicking) Close()                                              { p.closes.Add(1); panic("close") }

func TestSlowReaderIsDropped(t *testing.T) {
	h := &funcHandler{serve: basic}
	simulate(t, Config{WriteTimeout: time.Minute}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		defer c.Close()
		begun := time.Now()
		c.send(t, "PING\r\n")
		synctest.Wait()
		for r.Stats().Connections > 0 {
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if waited := time.Since(begun); waited < time.Minute || waited > 2*time.Minute {
			t.Errorf("dropped after %v", waited)
		}
		if st := r.Stats(); st.SlowClients != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// A client that is slow but reads may take as long as it needs.
func TestSteadyReaderIsKept(t *testing.T) {
	big := strings.Repeat("v", 20<<20)
	h := &funcHandler{serve: func(_ *funcSession, _ context.Context, _ []Command, w *resp.Writer) bool {
		w.BulkString(big)
		return true
	}}
	simulate(t, Config{WriteTimeout: time.Minute}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		defer c.Close()
		c.send(t, "GET\r\n")
		for left := int64(len(big) + len("$20971520\r\n\r\n")); left > 0; left -= 1 << 20 {
			time.Sleep(50 * time.Second)
			if _, err := io.CopyN(io.Discard, c.r, min(left, 1<<20)); err != nil {
				t.Fatalf("%d bytes left: %v", left, err)
			}
		}
	})
}

func TestRepliesBeyondTheOutputBuffer(t *testing.T) {
	h := &funcHandler{serve: func(_ *funcSession, _ context.Context, _ []Command, w *resp.Writer) bool {
		w.Bulk(make([]byte, 2000))
		return true
	}}
	simulate(t, Config{OutputBufferBytes: 1000}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		c.send(t, "GET\r\n")
		c.expectClosed(t)
		synctest.Wait()
		if st := r.Stats(); st.SlowClients != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cfg     Config
		limits  Limits
		send    string
		every   time.Duration // sent again and again
		closed  time.Duration // 0: stays
		replies bool
	}{
		{name: "idle", cfg: Config{IdleTimeout: 10 * time.Second}, closed: 10 * time.Second},
		{name: "idle is off", cfg: Config{}},
		{name: "not idle", cfg: Config{IdleTimeout: 10 * time.Second}, send: "PING\r\n", every: 9 * time.Second, replies: true},
		{name: "subscriber", cfg: Config{IdleTimeout: 10 * time.Second}, limits: Limits{KeepIdle: true}},
		{name: "not authenticated", cfg: Config{}, limits: Limits{Unauthenticated: true}, closed: 10 * time.Second},
		{name: "not authenticated, busy", cfg: Config{}, limits: Limits{Unauthenticated: true}, send: "PING\r\n", every: time.Second,
			closed: 10 * time.Second, replies: true},
		{name: "authentication not limited", cfg: Config{AuthTimeout: -1}, limits: Limits{Unauthenticated: true}},
		{name: "stalled", cfg: Config{}, send: "*1\r\n$4\r\nPI", closed: time.Minute},
		{name: "trickling", cfg: Config{}, send: "*", every: 7 * time.Second, closed: time.Minute},
	} {
		h := &funcHandler{serve: basic, limits: tt.limits}
		simulate(t, tt.cfg, h, func(t *testing.T, r *running, ln *pipeListener) {
			c := ln.dial()
			defer c.Close()
			begun := time.Now()
			go io.Copy(io.Discard, c)
			synctest.Wait()
			for sent := time.Duration(-1); r.Stats().Connections > 0 && time.Since(begun) < time.Hour; time.Sleep(time.Second / 2) {
				if now := time.Since(begun); tt.send != "" && (sent < 0 || tt.every > 0 && now-sent >= tt.every) {
					sent = now
					c.Write([]byte(tt.send))
				}
				synctest.Wait()
			}
			took := time.Since(begun)
			synctest.Wait()
			if tt.closed == 0 && r.Stats().TimedOut != 0 {
				t.Errorf("%s: closed after %v", tt.name, took)
			}
			if tt.closed > 0 && (r.Stats().TimedOut != 1 || took < tt.closed || took > tt.closed+time.Second) {
				t.Errorf("%s: closed after %v, want %v", tt.name, took, tt.closed)
			}
		})
	}
}

func TestKill(t *testing.T) {
	opened := make(chan ConnInfo, 2)
	h := &funcHandler{serve: func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		if string(cmds[0].Args[0]) == "HANG" {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), ErrKilled) {
				panic(context.Cause(ctx))
			}
		}
		return basic(s, ctx, cmds, w)
	}}
	h.open = func(s *funcSession) { opened <- s.info }
	synctest.Test(t, func(t *testing.T) {
		opened = make(chan ConnInfo, 2)
		ln := newPipeListener()
		r := start(Config{}, h, ln)
		idle, hanging := ln.dial(), ln.dial()
		hanging.send(t, "HANG\r\n")
		for range 2 {
			info := <-opened
			info.Kill()
			info.Kill()
			info.Push(func(w *resp.Writer) { t.Error("pushed to a dead connection") })
		}
		idle.expectClosed(t)
		hanging.expectClosed(t)
		r.stop(t)
		if r.Stats().Panics != 0 {
			t.Error("the context ended for another reason")
		}
	})
}

// An idle connection gives large buffers back.
func TestBuffersAreTrimmed(t *testing.T) {
	h := &funcHandler{serve: basic}
	simulate(t, Config{}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		defer c.Close()
		big := strings.Repeat("b", 3<<20)
		go c.Write([]byte("*2\r\n$4\r\nECHO\r\n$3145728\r\n" + big + "\r\n"))
		c.expect(t, "$3145728\r\n"+big+"\r\n")
		synctest.Wait()
		if held := r.Stats().InputBytes; held < 3<<20 {
			t.Fatalf("a command of 3 MiB was held in %d bytes", held)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if held := r.Stats().InputBytes; held != inputBytesMin {
			t.Errorf("idle with a buffer of %d bytes", held)
		}
		conn := r.connections()[0]
		if conn.w.Cap() > outputBytesMin || conn.large() {
			t.Errorf("idle with %d bytes for replies", conn.w.Cap())
		}
		c.send(t, "PING\r\n")
		c.expect(t, "+PONG\r\n")
	})
}

func TestInputBudget(t *testing.T) {
	h := &funcHandler{serve: basic}
	simulate(t, Config{InputBytesMax: 5 << 18}, h, func(t *testing.T, r *running, ln *pipeListener) {
		a, b := ln.dial(), ln.dial()
		defer a.Close()
		a.send(t, "*2\r\n$4\r\nECHO\r\n$700000\r\n"+strings.Repeat("a", 400_000))
		synctest.Wait()
		go b.Write([]byte("*2\r\n$4\r\nECHO\r\n$700000\r\n" + strings.Repeat("b", 700_000)))
		b.expect(t, "-OOM input buffers of all clients are full\r\n")
		b.expectClosed(t)
		synctest.Wait()
		go a.Write([]byte(strings.Repeat("a", 300_000) + "\r\n"))
		a.expect(t, "$700000\r\n"+strings.Repeat("a", 700_000)+"\r\n")
	})
}

func TestAcceptErrorsAreWaitedOut(t *testing.T) {
	h := &funcHandler{serve: basic}
	simulate(t, Config{}, h, func(t *testing.T, r *running, ln *pipeListener) {
		begun := time.Now()
		for range 20 {
			ln.errs <- errors.New("too many open files")
		}
		c := ln.dial()
		defer c.Close()
		if waited := time.Since(begun); waited < 10*time.Second {
			t.Errorf("20 failures took %v", waited)
		}
		c.send(t, "PING\r\n")
		c.expect(t, "+PONG\r\n")
		synctest.Wait()
		if st := r.Stats(); st.AcceptErrors != 20 {
			t.Errorf("stats %+v", st)
		}
	})
}
