package commands

import (
	"strings"
	"testing"

	"kahuna/resp"
)

// listener is a client with what was pushed to it, as server would send it.
type listener struct {
	*client
	pushed resp.Writer
}

func (r *rig) listener(id int64, proto int) *listener {
	l := &listener{client: &client{}}
	l.s = r.Open(Conn{ID: id, Remote: "127.0.0.1:1000",
		Push: func(fn func(w *resp.Writer)) {
			l.pushed.SetProto(l.w.Proto())
			fn(&l.pushed)
		},
		Collect: func() {
			l.w.Raw(l.pushed.Bytes())
			l.pushed.Reset()
		}})
	l.w.SetProto(proto)
	return l
}

func (l *listener) took() string {
	defer l.pushed.Reset()
	return string(l.pushed.Bytes())
}

func TestSubscriberMode(t *testing.T) {
	r := newRig(Limits{})
	a, b := r.listener(1, 2), r.listener(2, 2)
	for _, step := range []struct{ line, want string }{
		{"PING", "+PONG\r\n"},
		{"SUBSCRIBE c d", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:2\r\n"},
		{"SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n"},
		{"PSUBSCRIBE c*", "*3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:3\r\n"},
		{"SSUBSCRIBE c", "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n"},
		{"GET k", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"},
		{"PUBSUB NUMPAT", "-ERR Can't execute 'pubsub|numpat': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"},
		{"PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
		{"PING hi", "*2\r\n$4\r\npong\r\n$2\r\nhi\r\n"},
		{"UNSUBSCRIBE d nosuch", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nd\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$6\r\nnosuch\r\n:2\r\n"},
		{"PUNSUBSCRIBE", "*3\r\n$12\r\npunsubscribe\r\n$2\r\nc*\r\n:1\r\n"},
		{"UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"},
		{"UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"},
		{"GET k", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"},
		{"SUNSUBSCRIBE", "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n"},
		{"GET k", "$-1\r\n"},
		{"PSUBSCRIBE *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n"},
		{"RESET", "+RESET\r\n"},
		{"GET k", "$-1\r\n"},
	} {
		if got := a.do(t, step.line); got != step.want {
			t.Errorf("%s: %q, want %q", step.line, got, step.want)
		}
	}
	if got := b.do(t, "PUBLISH c x"); got != ":0\r\n" || a.took() != "" {
		t.Errorf("after RESET: %q", got)
	}
}

func TestMessages(t *testing.T) {
	r := newRig(Limits{})
	two, three, other := r.listener(1, 2), r.listener(2, 3), r.listener(3, 2)
	two.send(lines("SUBSCRIBE c;PSUBSCRIBE [a-c]")...)
	if got := three.do(t, "SUBSCRIBE c"); got != ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n" {
		t.Errorf("%q", got)
	}
	three.do(t, "SSUBSCRIBE c")
	if got := other.send(lines("PUBLISH c hello;SPUBLISH c s;PUBLISH nobody x;PUBSUB CHANNELS;PUBSUB NUMSUB c d;PUBSUB NUMPAT;PUBSUB SHARDCHANNELS n*;PUBSUB SHARDNUMSUB c")...); got !=
		":3\r\n:1\r\n:0\r\n*1\r\n$1\r\nc\r\n*4\r\n$1\r\nc\r\n:2\r\n$1\r\nd\r\n:0\r\n:1\r\n*0\r\n*2\r\n$1\r\nc\r\n:1\r\n" {
		t.Errorf("%q", got)
	}
	if got := two.took(); got != "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n*4\r\n$8\r\npmessage\r\n$5\r\n[a-c]\r\n$1\r\nc\r\n$5\r\nhello\r\n" {
		t.Errorf("RESP2: %q", got)
	}
	if got := three.took(); got != ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n>3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\ns\r\n" {
		t.Errorf("RESP3: %q", got)
	}
	if got := three.do(t, "GET nosuch"); got != "_\r\n" {
		t.Errorf("a subscriber in RESP3 may do anything: %q", got)
	}
	list := other.do(t, "CLIENT LIST TYPE pubsub")
	if !strings.Contains(list, "id=1 ") || !strings.Contains(list, "flags=P db=0 sub=1 psub=1 ssub=0") || strings.Contains(list, "id=3 ") {
		t.Errorf("%s", list)
	}
	three.s.Close()
	if got := other.do(t, "PUBLISH c x"); got != ":2\r\n" {
		t.Errorf("after one left: %q", got)
	}
}

// TestLastMessageBeforeConfirmation sees that a message that came before the end of a subscription is not behind the reply that
// says so: a client in RESP2 would take it for the reply to its next command.
func TestLastMessageBeforeConfirmation(t *testing.T) {
	for _, last := range []struct{ line, want string }{
		{"UNSUBSCRIBE", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"},
		{"RESET", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n+RESET\r\n"},
	} {
		r := newRig(Limits{})
		a, b := r.listener(1, 2), r.listener(2, 2)
		a.do(t, "SUBSCRIBE c")
		b.do(t, "PUBLISH c x")
		if got := a.do(t, last.line); got != last.want {
			t.Errorf("%s: %q, want %q", last.line, got, last.want)
		}
	}
}

// TestPublishInTransaction sees that a message is sent once, after its transaction has taken effect, however often that runs.
func TestPublishInTransaction(t *testing.T) {
	r := newRig(Limits{})
	a, b := r.listener(1, 2), r.listener(2, 2)
	a.do(t, "SUBSCRIBE c")
	b.send(lines("MULTI;SET k v;PUBLISH c plain")...)
	if got := a.took(); got != "" {
		t.Errorf("before EXEC: %q", got)
	}
	b.do(t, "EXEC")
	if got := a.took(); !strings.HasSuffix(got, "$5\r\nplain\r\n") {
		t.Errorf("after EXEC: %q", got)
	}
	r.fake.conflicts = 3
	got := b.send(lines("MULTI;MSETNX k1 v k2 v;PUBLISH c steps;EXEC")...)
	if !strings.HasSuffix(got, "*2\r\n:1\r\n:1\r\n") {
		t.Errorf("%q", got)
	}
	if got := a.took(); strings.Count(got, "steps") != 1 {
		t.Errorf("published %q", got)
	}
	b.send(lines("WATCH k;SET k w;MULTI;DBSIZE;PUBLISH c lost;EXEC")...)
	if got := a.took(); got != "" {
		t.Errorf("a transaction that did nothing published %q", got)
	}
}

// TestPublishInWhatOnlyReads sees that a script that only reads publishes nothing, neither at once nor with the next transaction.
func TestPublishInWhatOnlyReads(t *testing.T) {
	r := newRig(Limits{})
	a, b := r.listener(1, 2), r.listener(2, 2)
	a.do(t, "SUBSCRIBE c")
	for _, line := range []string{"PUBLISH", "SPUBLISH"} {
		got := b.send([]string{"EVAL_RO", "return redis.call('" + line + "','c','lost')", "0"})
		if !strings.HasPrefix(got, "-"+errScriptWrites) {
			t.Errorf("%s: %q", line, got)
		}
	}
	b.send(lines("BEGIN;COMMIT")...)
	if got := a.took(); got != "" || len(b.s.outbox) > 0 {
		t.Errorf("published %q, and %d are left", got, len(b.s.outbox))
	}
}

// TestPublishIsBounded sees that what waits for the end of a transaction is not more than may be queued, and that what
// was dropped does not count.
func TestPublishIsBounded(t *testing.T) {
	r := newRig(Limits{QueuedBytes: 1000})
	b := r.listener(1, 2)
	const loop = "for i=1,tonumber(ARGV[1]) do redis.call('publish','c',string.rep('x',100)) end"
	if got := b.send([]string{"EVAL", loop, "0", "5"}); got != "$-1\r\n" {
		t.Errorf("%q", got)
	}
	if got := b.send([]string{"EVAL", loop, "0", "50"}); !strings.Contains(got, "messages") {
		t.Errorf("a script may publish without bound: %q", got)
	}
	b.do(t, "BEGIN")
	b.send([]string{"EVAL", loop, "0", "50"})
	b.send(lines("ROLLBACK;BEGIN")...)
	if got := b.send([]string{"EVAL", loop, "0", "5"}); got != "$-1\r\n" || len(b.s.outbox) != 5 {
		t.Errorf("after a ROLLBACK: %q, and %d messages wait", got, len(b.s.outbox))
	}
}

func TestSubscriptionsLimit(t *testing.T) {
	r := newRig(Limits{Subscriptions: 2})
	a := r.listener(1, 2)
	a.send(lines("SUBSCRIBE a;PSUBSCRIBE b")...)
	if got := a.do(t, "SSUBSCRIBE c"); got != "-ERR too many subscriptions (limit 2)\r\n" {
		t.Errorf("%q", got)
	}
	if got := a.do(t, "SUBSCRIBE a"); !strings.HasSuffix(got, ":2\r\n") {
		t.Errorf("%q", got)
	}
}

func TestNotInMulti(t *testing.T) {
	a := newRig(Limits{}).listener(1, 2)
	got := a.send(lines("MULTI;SUBSCRIBE c;EXEC")...)
	if want := "+OK\r\n-ERR Command not allowed inside a transaction\r\n-EXECABORT Transaction discarded because of previous errors.\r\n"; got != want {
		t.Errorf("%q", got)
	}
}
