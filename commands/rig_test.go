package commands

import (
	"bufio"
	"context"
	"strings"
	"testing"
	"time"

	"kahuna/commands/scripttest"
	"kahuna/resp"
)

// rig is a Handler over a fake with a clock that stands still until it is moved.
type rig struct {
	*Handler
	fake *fake
	docs *fakeDocuments

	cluster *fakeCluster
	clock   time.Time
	seed    uint64
}

func newRig(limits Limits) *rig {
	r := &rig{clock: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC), seed: 1}
	r.fake = newFake(func() time.Time { return r.clock })
	r.docs, r.cluster = &fakeDocuments{}, newFakeCluster()
	r.cluster.backend = r.fake
	r.Handler = NewHandler(Options{Backend: r.fake, Users: UserOptions{Documents: r.docs}, History: &fakeHistory{fake: r.fake}, Feed: fakeFeed{r.fake}, Limits: limits, Cluster: r.cluster, Operators: r.cluster, Now: func() time.Time { return r.clock }, Rand: r.random,
		Settings: func() []Setting { return []Setting{{"maxclients", "100"}, {"save", ""}, {"appendonly", "yes"}} }})
	r.docs.add(r.Handler)
	return r
}

// random is xorshift64*.
func (r *rig) random() uint64 {
	r.seed ^= r.seed >> 12
	r.seed ^= r.seed << 25
	r.seed ^= r.seed >> 27
	return r.seed * 2685821657736338717
}

// client is a session and its writer.
type client struct {
	s *Session
	w resp.Writer
}

func (r *rig) client(id int64, proto int) *client {
	c := &client{s: r.Open(Conn{ID: id, Remote: "127.0.0.1:1000", Local: "127.0.0.1:6379"})}
	c.w.SetProto(proto)
	return c
}

// send serves commands that arrive together and returns the bytes of the replies.
func (c *client) send(cmds ...[]string) string {
	c.w.Reset()
	batch := make([]Request, len(cmds))
	for i, cmd := range cmds {
		for _, a := range cmd {
			batch[i].Args = append(batch[i].Args, []byte(a))
		}
	}
	c.s.Serve(context.Background(), batch, &c.w)
	return string(c.w.Bytes())
}

// do sends a line of words.
func (c *client) do(t testing.TB, line string) string {
	t.Helper()
	words, err := scripttest.Words(line)
	if err != nil {
		t.Fatal(err)
	}
	return c.send(words)
}

// wellFormed tells whether text is exactly n replies.
func wellFormed(text string, n int) bool {
	r := bufio.NewReader(strings.NewReader(text))
	for range n {
		if _, err := scripttest.ReadReply(r); err != nil {
			return false
		}
	}
	return r.Buffered() == 0
}

// TestLikeRedis plays scripts on a real Redis and here. It shows that shared commands answer alike to the byte.
func TestLikeRedis(t *testing.T) {
	addr := scripttest.Redis(t)
	for _, name := range []string{"redis", "hashes"} {
		t.Run(name, func(t *testing.T) { likeRedis(t, addr, scripttest.Load(t, "testdata/"+name+".script")) })
	}
}

func likeRedis(t *testing.T, addr string, steps []scripttest.Step) {
	for _, proto := range []string{"2", "3"} {
		t.Run("RESP"+proto, func(t *testing.T) {
			redis := scripttest.Dial(t, addr)
			f := newFake(time.Now)
			h := NewHandler(Options{Backend: f, Now: time.Now, Rand: newRig(Limits{}).random})
			c := &client{s: h.Open(Conn{ID: 1})}
			here := func(args []string) (string, error) {
				if reply := c.send(args); wellFormed(reply, 1) {
					return reply, nil
				}
				return "", errNotOneReply
			}
			if proto == "3" {
				redis([]string{"HELLO", "3"})
				here([]string{"HELLO", "3"})
			}
			if n := scripttest.Compare(t, steps, redis, here); n < 250 {
				t.Errorf("only %d commands were compared", n)
			}
		})
	}
}

const errNotOneReply = userError("not exactly one well-formed reply")
