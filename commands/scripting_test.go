package commands

import (
	"testing"
	"time"

	"kahuna/commands/scripttest"
)

// TestScriptsLikeRedis plays scripts on a real Redis and here, and compares the replies to the byte.
func TestScriptsLikeRedis(t *testing.T) {
	addr := scripttest.Redis(t)
	redis := scripttest.Dial(t, addr)
	f := newFake(time.Now)
	h := NewHandler(Options{Backend: f, Now: time.Now, Rand: newRig(Limits{}).random})
	c := &client{s: h.Open(Conn{ID: 1})}
	n := scripttest.Compare(t, scripttest.Load(t, "testdata/scripting.script"), redis, func(args []string) (string, error) {
		if reply := c.send(args); wellFormed(reply, 1) {
			return reply, nil
		}
		return "", errNotOneReply
	})
	if n < 400 {
		t.Errorf("only %d commands were compared", n)
	}
}
