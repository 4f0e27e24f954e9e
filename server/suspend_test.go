package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/resp"
)

// blocking is a session that knows WAIT ms, which blocks, and otherwise what basic knows. The reasons why waits ended
// go to ended.
func blocking(ended *[]string) func(*funcSession, context.Context, []Command, *resp.Writer) bool {
	var serve func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool
	serve = func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		for i, cmd := range cmds {
			if string(cmd.Args[0]) != "WAIT" {
				if !basic(s, ctx, cmds[i:i+1], w) {
					return false
				}
				continue
			}
			d, _ := time.ParseDuration(string(cmd.Args[1]))
			rest := slices.Clone(cmds[i+1:])
			s.resume = func(ctx context.Context, w *resp.Writer) bool {
				w.SimpleString("WAITED")
				return serve(s, ctx, rest, w)
			}
			over := make(chan string, 10)
			resume := s.info.Suspend(func(cause error) { over <- cause.Error() })
			go func() {
				select {
				case why := <-over:
					*ended = append(*ended, why)
				case <-time.After(d):
					*ended = append(*ended, "time")
				}
				resume()
				resume()
			}()
			return true
		}
		return true
	}
	return serve
}

func TestSuspend(t *testing.T) {
	var ended []string
	h := &funcHandler{serve: blocking(&ended)}
	simulate(t, Config{IdleTimeout: 20 * time.Second}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		begun := time.Now()
		c.send(t, "PING\r\nWAIT 30s\r\nPING\r\nWAIT 1s\r\n*1\r\n$4\r\nPI")
		c.expect(t, "+PONG\r\n")
		if time.Since(begun) != 0 {
			t.Error("the reply before the blocking command was held back")
		}
		c.send(t, "NG\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n")
		c.expect(t, "+WAITED\r\n+PONG\r\n+WAITED\r\n+PONG\r\n$1\r\nx\r\n")
		if took := time.Since(begun); took != 31*time.Second {
			t.Errorf("took %v", took)
		}
		c.send(t, "WAIT 1h\r\nPING\r\n")
		time.Sleep(time.Minute)
		c.Close()
		synctest.Wait()
		if want := []string{"time", "time", ErrDisconnected.Error()}; fmt.Sprint(ended) != fmt.Sprint(want) {
			t.Errorf("waits ended by %q, want %q", ended, want)
		}
		if r.Stats().Connections != 0 {
			t.Error("the connection is still there")
		}
	})
}

func TestSuspendEndsByKillAndShutdown(t *testing.T) {
	var ended []string
	h := &funcHandler{serve: blocking(&ended)}
	var infos []ConnInfo
	h.open = func(s *funcSession) { infos = append(infos, s.info) }
	simulate(t, Config{}, h, func(t *testing.T, r *running, ln *pipeListener) {
		a := ln.dial()
		a.send(t, "WAIT 1h\r\n")
		synctest.Wait()
		infos[0].Kill()
		a.expectClosed(t)
		b := ln.dial()
		b.send(t, "WAIT 1h\r\n")
		synctest.Wait()
		go r.Shutdown(context.Background())
		b.expect(t, "+WAITED\r\n")
		b.expectClosed(t)
		synctest.Wait()
		if want := []string{ErrKilled.Error(), ErrClosed.Error()}; fmt.Sprint(ended) != fmt.Sprint(want) {
			t.Errorf("waits ended by %q, want %q", ended, want)
		}
	})
}

// What arrives behind a blocking command is kept up to a bound, and the client is held back beyond it.
func TestSuspendIsBounded(t *testing.T) {
	var ended []string
	h := &funcHandler{serve: blocking(&ended)}
	simulate(t, Config{}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		defer c.Close()
		c.send(t, "WAIT 10s\r\n")
		in, out := pipeline(20_000)
		go c.Write([]byte(in))
		synctest.Wait()
		if held := r.Stats().InputBytes; held > 4*watchBytesMax {
			t.Errorf("%d bytes held behind a blocking command", held)
		}
		c.expect(t, "+WAITED\r\n"+out)
	})
}

// What is resumed before the session has returned goes on as well, and a session that panics meanwhile does no harm.
func TestSuspendForAMoment(t *testing.T) {
	h := &funcHandler{serve: func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		s.resume = func(ctx context.Context, w *resp.Writer) bool { return basic(s, ctx, cmds, w) }
		resume := s.info.Suspend(func(error) {})
		resume()
		if string(cmds[0].Args[0]) == "BOOM" {
			panic("while suspended")
		}
		resume()
		return true
	}}
	simulate(t, Config{}, h, func(t *testing.T, r *running, ln *pipeListener) {
		c := ln.dial()
		for range 3 {
			c.send(t, "PING\r\n")
			c.expect(t, "+PONG\r\n")
		}
		c.send(t, "BOOM\r\n")
		c.expectClosed(t)
	})
}

func TestPush(t *testing.T) {
	var info ConnInfo
	begun, proceed := make(chan struct{}), make(chan struct{})
	h := &funcHandler{open: func(s *funcSession) { info = s.info }}
	h.serve = func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		switch string(cmds[0].Args[0]) {
		case "SLOW":
			w.SimpleString("first")
			begun <- struct{}{}
			<-proceed
			w.SimpleString("second")
			return true
		case "FLUSH":
			w.SimpleString("flushed")
			if s.info.Flush() != nil {
				return false
			}
			begun <- struct{}{}
			<-proceed
			w.SimpleString("rest")
			return true
		case "LAST":
			begun <- struct{}{}
			<-proceed
			s.info.Collect()
			w.SimpleString("last")
			return true
		case "HELLO":
			w.SetProto(3)
		case "BLOCK":
			resume := s.info.Suspend(func(error) {})
			s.resume = func(ctx context.Context, w *resp.Writer) bool { return basic(s, ctx, cmds, w) }
			go func() {
				begun <- struct{}{}
				<-proceed
				resume()
			}()
			return true
		}
		return basic(s, ctx, cmds, w)
	}
	message := func(text string) { info.Push(func(w *resp.Writer) { w.Push(1); w.SimpleString(text) }) }
	synctest.Test(t, func(t *testing.T) {
		begun, proceed = make(chan struct{}), make(chan struct{})
		ln := newPipeListener()
		r := start(Config{PushBufferBytes: 10_000}, h, ln)
		c := ln.dial()
		synctest.Wait()

		message("a")
		message("b")
		c.expect(t, "*1\r\n+a\r\n*1\r\n+b\r\n")

		c.send(t, "SLOW\r\n")
		<-begun
		message("c")
		proceed <- struct{}{}
		c.expect(t, "+first\r\n+second\r\n*1\r\n+c\r\n")

		c.send(t, "HELLO\r\n")
		c.expect(t, "+PONG\r\n")
		message("d")
		c.expect(t, ">1\r\n+d\r\n")

		c.send(t, "FLUSH\r\n")
		c.expect(t, "+flushed\r\n")
		<-begun
		message("e")
		synctest.Wait()
		proceed <- struct{}{}
		c.expect(t, "+rest\r\n>1\r\n+e\r\n")

		c.send(t, "LAST\r\n")
		<-begun
		message("before")
		proceed <- struct{}{}
		c.expect(t, ">1\r\n+before\r\n+last\r\n")

		c.send(t, "BLOCK\r\n")
		<-begun
		message("f")
		c.expect(t, ">1\r\n+f\r\n")
		proceed <- struct{}{}
		c.expect(t, "+PONG\r\n")

		for range 100 {
			message(strings.Repeat("x", 1000))
		}
		synctest.Wait()
		if st := r.Stats(); st.SlowClients != 1 || st.Connections != 0 {
			t.Errorf("a client that reads nothing: %+v", st)
		}
		c.Close()
		r.stop(t)
	})
}

// Data pushed by many at once arrives whole and in each one's order, between whole replies.
func TestPushConcurrently(t *testing.T) {
	var info ConnInfo
	h := &funcHandler{serve: basic, open: func(s *funcSession) { info = s.info }}
	_, dial := startTCP(t, Config{}, h)
	c := dial()
	c.send(t, "PING\r\n")
	c.expect(t, "+PONG\r\n")
	const pushers, each, pings = 4, 500, 500
	for p := range pushers {
		go func() {
			for i := range each {
				info.Push(func(w *resp.Writer) { w.Array(2); w.Int(int64(p)); w.Int(int64(i)) })
			}
		}()
	}
	go func() {
		for range pings {
			c.Write([]byte("PING\r\n"))
		}
	}()
	var next [pushers]int
	for pongs, pushed := 0, 0; pongs < pings || pushed < pushers*each; {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "+PONG\r\n" {
			pongs++
			continue
		}
		var p, i int
		if _, err := fmt.Fscanf(c.r, ":%d\r\n:%d\r\n", &p, &i); err != nil || line != "*2\r\n" {
			t.Fatalf("broken: %q, %v", line, err)
		}
		if next[p] != i {
			t.Fatalf("pusher %d: %d after %d", p, i, next[p]-1)
		}
		next[p]++
		pushed++
	}
}

func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	h := &funcHandler{serve: func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		if string(cmds[0].Args[0]) == "SLOW" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return basic(s, ctx, cmds, w)
	}}
	for _, patient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			release = make(chan struct{})
			ln := newPipeListener()
			r := start(Config{}, h, ln)
			idle, half, busy := ln.dial(), ln.dial(), ln.dial()
			half.send(t, "*1\r\n$4\r\nPI")
			busy.send(t, "SLOW\r\n")
			synctest.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			down := make(chan error, 1)
			go func() { down <- r.Shutdown(ctx) }()
			idle.expectClosed(t)
			half.expectClosed(t)
			if err := r.Serve(newPipeListener(), PortMain); !errors.Is(err, ErrClosed) {
				t.Errorf("Serve during Shutdown: %v", err)
			}
			if patient {
				close(release)
				busy.expect(t, "+PONG\r\n")
				busy.expectClosed(t)
				if err := <-down; err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			} else {
				busy.expectClosed(t)
				if err := <-down; !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown: %v", err)
				}
			}
			r.stop(t)
		})
	}
}
