package commands

import (
	"fmt"
	"testing"
	"time"

	"kahuna/commands/scripttest"
	"kahuna/script"
)

// TestScriptsLikeRedis plays scripts on a real Redis and here, and compares the replies to the byte.
func TestScriptsLikeRedis(t *testing.T) {
	addr := scripttest.Redis(t)
	redis := scripttest.Dial(t, addr)
	f := newFake(time.Now)
	h := NewHandler(Options{Backend: f, Now: time.Now, Rand: newRig(Limits{}).random, Scripts: ScriptOptions{Limits: script.Limits{Time: time.Minute}}})
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

// TestScriptsOfLibraries runs the scripts of lock libraries, and sees that one which was loaded runs by its name, also in MULTI.
func TestScriptsOfLibraries(t *testing.T) {
	c := newRig(Limits{}).client(1, 2)
	const release = `if redis.call("get",KEYS[1])==ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`
	const extend = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) else return 0 end`
	const obtain = `if not redis.call("set", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return false end return redis.status_reply("OK")`
	const redisson = `redis.call('set', KEYS[1], '1') return redis.call('publish', KEYS[2], ARGV[1])`
	steps := []struct {
		args []string
		want string
	}{
		{[]string{"EVAL", obtain, "1", "l", "me", "1000"}, "+OK\r\n"},
		{[]string{"EVAL", obtain, "1", "l", "other", "1000"}, "$-1\r\n"},
		{[]string{"EVAL", extend, "1", "l", "other", "5000"}, ":0\r\n"},
		{[]string{"EVAL", extend, "1", "l", "me", "5000"}, ":1\r\n"},
		{[]string{"PTTL", "l"}, ":5000\r\n"},
		{[]string{"EVALSHA", script.SHA(release), "1", "l", "me"}, "-" + errNoScript + "\r\n"},
		{[]string{"SCRIPT", "LOAD", release}, "$40\r\n" + script.SHA(release) + "\r\n"},
		{[]string{"EVALSHA", script.SHA(release), "1", "l", "other"}, ":0\r\n"},
		{[]string{"MULTI"}, "+OK\r\n"},
		{[]string{"EVALSHA", script.SHA(release), "1", "l", "me"}, "+QUEUED\r\n"},
		{[]string{"EVALSHA", script.SHA(release), "1", "l", "me"}, "+QUEUED\r\n"},
		{[]string{"EXEC"}, "*2\r\n:1\r\n:0\r\n"},
		{[]string{"EVAL", redisson, "2", "k", "channel", "m"}, ":0\r\n"},
	}
	for _, s := range steps {
		if got := c.send(s.args); got != s.want {
			t.Errorf("%q: %q, want %q", s.args, got, s.want)
		}
	}
}

// TestScriptMemory sees that the compiled scripts a node holds are bounded, and that what was dropped is not found without a store.
func TestScriptMemory(t *testing.T) {
	r := newRig(Limits{})
	r.scripts.bytesMax = 20_000
	c := r.client(1, 2)
	for i := range 100 {
		c.send([]string{"SCRIPT", "LOAD", fmt.Sprint("return ", i)})
	}
	if n, bytes := r.scripts.counts(); n == 0 || n > 40 || bytes > 20_000 {
		t.Errorf("%d scripts with %d bytes are held", n, bytes)
	}
	if got := c.send([]string{"EVALSHA", script.SHA("return 99"), "0"}); got != ":99\r\n" {
		t.Errorf("the newest: %q", got)
	}
	if got := c.send([]string{"EVALSHA", script.SHA("return 0"), "0"}); got != "-"+errNoScript+"\r\n" {
		t.Errorf("the oldest: %q", got)
	}
}

// BenchmarkEvalSHA is the release of a lock that is not held, over a fake: what a script costs beside its transaction.
func BenchmarkEvalSHA(b *testing.B) {
	c := newRig(Limits{}).client(1, 2)
	const release = `if redis.call("get",KEYS[1])==ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`
	c.send([]string{"SCRIPT", "LOAD", release})
	line := []string{"EVALSHA", script.SHA(release), "1", "l", "me"}
	b.ReportAllocs()
	for b.Loop() {
		c.send(line)
	}
}
