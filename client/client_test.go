package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// network is servers in memory, by address. A server gets each connection; where there is none, connecting is refused.
type network map[string]func(net.Conn)

func (n network) options(joined *sync.WaitGroup, addrs ...string) Options {
	return Options{Addrs: addrs, Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
		serve, ok := n[addr]
		if !ok {
			return nil, errors.New("connection refused")
		}
		ours, theirs := net.Pipe()
		joined.Go(func() {
			defer theirs.Close()
			serve(theirs)
		})
		return ours, nil
	}}
}

// answers is a server that reads commands and gives these answers, then ends the connection. "-" stands for silence.
func answers(all ...string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for _, a := range all {
			if _, err := read(in, 0); err != nil { // a command has the form of a reply
				return
			}
			if a == "-" {
				io.Copy(io.Discard, in)
				return
			}
			io.WriteString(c, a)
		}
	}
}

// with runs a test in a bubble with a client of that network.
func with(t *testing.T, n network, addrs []string, change func(*Options), test func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var joined sync.WaitGroup
		o := n.options(&joined, addrs...)
		if change != nil {
			change(&o)
		}
		c := New(o)
		test(t, c)
		c.Close()
		joined.Wait()
	})
}

// seconds is a context that ends then.
func seconds(t *testing.T, n int) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// What is known of the end of a call follows from how it failed.
func TestEnds(t *testing.T) {
	tests := map[string]struct {
		answer               string
		unchanged, uncertain bool
		says                 string
	}{
		"integer":        {":7\r\n", false, false, ""},
		"refused":        {"-ERR no\r\n", false, false, "ERR no"},
		"not now":        {"-TRYAGAIN a leader is being chosen\r\n", true, false, "TRYAGAIN"},
		"no quorum":      {"-CLUSTERDOWN no\r\n", true, false, "CLUSTERDOWN"},
		"too many":       {"-ERR max number of clients reached\r\n", true, false, "clients"},
		"end unknown":    {"-UNCERTAIN who knows\r\n", false, true, "UNCERTAIN"},
		"silence":        {"-", false, true, "i/o timeout"},
		"hangs up":       {"", false, true, "ended the connection"},
		"half an answer": {"$5\r\nab", false, true, "ended the connection"},
		"another tongue": {"HTTP/1.1 400 Bad Request\r\n", false, true, "not of the Redis protocol"},
		"a huge length":  {"$99999999999\r\n", false, true, "not of the Redis protocol"},
		"many lengths":   {strings.Repeat("*1\r\n", 20), false, true, "not of the Redis protocol"},
		"no line end":    {"$1\r\nabc", false, true, "not of the Redis protocol"},
	}
	for name, x := range tests {
		t.Run(name, func(t *testing.T) {
			with(t, network{"a": answers(x.answer)}, []string{"a"}, nil, func(t *testing.T, c *Client) {
				_, err := c.Do(seconds(t, 5), "X")
				if Unchanged(err) != x.unchanged || Uncertain(err) != x.uncertain || (err != nil) != (x.says != "") {
					t.Errorf("unchanged %t, uncertain %t: %v", Unchanged(err), Uncertain(err), err)
				}
				if err != nil && !strings.Contains(err.Error(), x.says) {
					t.Errorf("says %q", err)
				}
			})
		})
	}
}

func TestReplies(t *testing.T) {
	answer := "*6\r\n$1\r\nk\r\n$-1\r\n$1\r\nn\r\n:-5\r\n$1\r\nl\r\n*2\r\n+OK\r\n-ERR x\r\n"
	with(t, network{"a": answers(answer, "*-1\r\n")}, []string{"a"}, nil, func(t *testing.T, c *Client) {
		replies, err := c.Pipeline(seconds(t, 5), []string{"X"})
		if err != nil {
			t.Fatal(err)
		}
		r := replies[0]
		if !r.Field("k").Nil() || r.Field("n").Int != -5 || r.Field("l").Parts[0].Text != "OK" || r.Field("none") != nil {
			t.Errorf("%+v", r)
		}
		if err := r.Field("l").Parts[1].Err(); err == nil || err.Error() != "ERR x" {
			t.Errorf("the error in it is %v", err)
		}
		if r, err := c.Do(seconds(t, 5), "Y"); err != nil || !r.Nil() {
			t.Errorf("no array is %+v, %v", r, err)
		}
	})
}

func TestNextAddress(t *testing.T) {
	n := network{"silent": func(c net.Conn) { io.Copy(io.Discard, c) }, "good": answers("+ONE\r\n", "+TWO\r\n"), "again": answers("+THREE\r\n")}
	with(t, n, []string{"refuses", "good", "again"}, nil, func(t *testing.T, c *Client) {
		for _, want := range []string{"ONE", "TWO", "", "THREE"} {
			r, err := c.Do(seconds(t, 5), "X")
			if r.Text != want || (want == "") != Uncertain(err) {
				t.Errorf("%q, %v; want %q", r.Text, err, want)
			}
		}
	})
	with(t, n, []string{"refuses", "neither"}, nil, func(t *testing.T, c *Client) {
		if _, err := c.Do(seconds(t, 5), "X"); !Unchanged(err) || !strings.Contains(err.Error(), "refused; ") {
			t.Errorf("nobody there gives %v", err)
		}
	})
	with(t, n, []string{"silent", "good"}, nil, func(t *testing.T, c *Client) {
		var r Reply
		err := c.Try(seconds(t, 9), Policy{Attempt: time.Second, Repeatable: true}, func(ctx context.Context) (err error) {
			r, err = c.Do(ctx, "X")
			return err
		})
		if err != nil || r.Text != "ONE" {
			t.Errorf("beside a silent server: %q, %v", r.Text, err)
		}
	})
}

func TestAuthentication(t *testing.T) {
	log := func(o *Options) { o.User, o.Password = "ann", "secret" }
	with(t, network{"a": answers("+OK\r\n", "+PONG\r\n")}, []string{"a"}, log, func(t *testing.T, c *Client) {
		if r, err := c.Do(seconds(t, 5), "PING"); err != nil || r.Text != "PONG" {
			t.Errorf("%+v, %v", r, err)
		}
	})
	with(t, network{"a": answers("-WRONGPASS no\r\n", "+PONG\r\n")}, []string{"a"}, log, func(t *testing.T, c *Client) {
		if _, err := c.Do(seconds(t, 5), "PING"); Unchanged(err) || Uncertain(err) || !strings.Contains(err.Error(), "a: WRONGPASS no") {
			t.Errorf("a wrong password gives %v", err)
		}
	})
}

// A reply that came is given, even when the context has ended meanwhile; one that waits is ended at once.
func TestCancel(t *testing.T) {
	with(t, network{"a": answers("-", "+LATE\r\n")}, []string{"a"}, nil, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("enough")) })
		began := time.Now()
		if _, err := c.Do(ctx, "X"); !Uncertain(err) || !strings.Contains(err.Error(), "enough") || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if _, err := c.Do(ctx, "X"); err == nil {
			t.Error("an ended context is taken")
		}
	})
}

func TestTry(t *testing.T) {
	tests := map[string]struct {
		policy Policy
		fails  []error
		calls  int
		took   time.Duration // at most
	}{
		"at once":              {Policy{}, nil, 1, 0},
		"not now, then yes":    {Policy{}, []error{&ServerError{"TRYAGAIN"}, &ServerError{"CLUSTERDOWN"}}, 3, time.Second},
		"refused":              {Policy{Repeatable: true}, []error{&ServerError{"ERR"}}, 1, 0},
		"unknown, once only":   {Policy{}, []error{&BrokenError{"a", io.EOF}}, 1, 0},
		"unknown, repeatable":  {Policy{Repeatable: true}, []error{&BrokenError{"a", io.EOF}, &ServerError{"UNCERTAIN"}}, 3, time.Second},
		"never reached":        {Policy{Unreachable: 3 * time.Second}, repeated(&UnreachableError{io.EOF}, 1000), -1, 4 * time.Second},
		"never, with no bound": {Policy{}, repeated(&UnreachableError{io.EOF}, 1000), -1, 10 * time.Second},
	}
	for name, x := range tests {
		t.Run(name, func(t *testing.T) {
			with(t, nil, []string{"a"}, nil, func(t *testing.T, c *Client) {
				calls, began := 0, time.Now()
				err := c.Try(seconds(t, 10), x.policy, func(context.Context) error {
					if calls++; calls <= len(x.fails) {
						return x.fails[calls-1]
					}
					return nil
				})
				if (err != nil) != (calls <= len(x.fails)) || x.calls >= 0 && calls != x.calls || time.Since(began) > x.took {
					t.Errorf("%v after %d calls and %v", err, calls, time.Since(began))
				}
			})
		})
	}
}

func repeated(err error, n int) (all []error) {
	for range n {
		all = append(all, err)
	}
	return all
}
