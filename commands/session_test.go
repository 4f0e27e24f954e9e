package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"kahuna/op"
	"kahuna/resp"
)

func lines(text string) (all [][]string) {
	for _, l := range strings.Split(text, ";") {
		all = append(all, strings.Fields(l))
	}
	return all
}

// TestPipelineIsOneCall sees that what arrives together goes to the Backend together, with local answers in their place.
func TestPipelineIsOneCall(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	got := c.send(lines("SET a 1;PING;INCR a;NOPE;GET a;LOCK l o 100;SET a;DEL a")...)
	want := "+OK\r\n+PONG\r\n:2\r\n-ERR unknown command 'NOPE', with args beginning with: \r\n$1\r\n2\r\n:53438054400003\r\n" +
		"-ERR wrong number of arguments for 'set' command\r\n:1\r\n"
	if got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if !slices.Equal(r.fake.calls, []int{5}) {
		t.Errorf("calls with %v operations, want one with 5", r.fake.calls)
	}
}

func TestPipelineChunks(t *testing.T) {
	r := newRig(Limits{BatchOps: 8})
	c := r.client(1, 2)
	var cmds [][]string
	for range 20 {
		cmds = append(cmds, []string{"INCR", "n"})
	}
	if got := c.send(cmds...); !strings.HasSuffix(got, ":20\r\n") || !wellFormed(got, 20) {
		t.Errorf("%q", got)
	}
	if !slices.Equal(r.fake.calls, []int{8, 8, 4}) {
		t.Errorf("calls with %v operations", r.fake.calls)
	}
}

// TestPipelineOfLargeValues sees that what one call returns is bounded, and that replies go while more are to come.
func TestPipelineOfLargeValues(t *testing.T) {
	r := newRig(Limits{BatchReads: 4})
	var w resp.Writer
	sent := ""
	s := r.Open(Conn{ID: 1, Flush: func() error {
		sent += string(w.Bytes())
		w.Reset()
		return nil
	}})
	s.Serve(context.Background(), []Request{{Args: [][]byte{[]byte("SET"), []byte("big"), make([]byte, 1<<20)}}}, &w)
	w.Reset()
	r.fake.calls = nil
	s.Serve(context.Background(), bytesOf("GET big;GET big;GET big;GET big;GET big;KGET big ASOF -0;MULTI;GET big;EXEC;PING"), &w)
	if all := sent + string(w.Bytes()); !wellFormed(all, 10) || w.Len() > 100 {
		t.Errorf("%d bytes sent, %d left", len(sent), w.Len())
	}
	if !slices.Equal(r.fake.calls, []int{4, 1}) {
		t.Errorf("calls with %v operations", r.fake.calls)
	}
}

// TestPipelineOrder sees that steps, and what changes the session, keep their place among gathered operations.
func TestPipelineOrder(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	got := c.send(lines("SET a 1;DBSIZE;MSET b 2 c 3;MGET a b;WATCH a;SET a 2;MULTI;GET a;EXEC;MULTI;GET a;EXEC;HELLO 3;GET nosuch;RESET;GET nosuch")...)
	got, _, _ = strings.Cut(got, "*14")
	want := "+OK\r\n:1\r\n+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n"
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "*0\r\n_\r\n+RESET\r\n$-1\r\n") {
		t.Errorf("%q", got)
	}
}

func TestQuitEndsPipeline(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	if got := c.send(lines("SET a 1;QUIT;SET a 2")...); got != "+OK\r\n+OK\r\n" {
		t.Errorf("%q", got)
	}
	if c.s.Serve(context.Background(), nil, &c.w) {
		t.Error("the connection goes on after QUIT")
	}
	if got := r.client(2, 2).do(t, "GET a"); got != "$1\r\n1\r\n" {
		t.Errorf("a command behind QUIT took effect: %q", got)
	}
}

func TestMultiLimits(t *testing.T) {
	r := newRig(Limits{QueuedCommands: 3, QueuedBytes: 100})
	c := r.client(1, 2)
	got := c.send(lines("MULTI;SET a 1;SET b 1;SET c 1;SET d 1;SET e 1;EXEC;EXISTS a")...)
	if !strings.Contains(got, "-ERR too many commands in MULTI (limit 3)\r\n") || !strings.HasSuffix(got, "-"+errExecAbort+"\r\n:0\r\n") || !wellFormed(got, 8) {
		t.Errorf("%q", got)
	}
	got = c.send([]string{"MULTI"}, []string{"SET", "a", strings.Repeat("x", 100)}, []string{"SET", "a", "1"}, []string{"EXEC"})
	if !strings.Contains(got, "-ERR MULTI too large (limit 100 bytes)\r\n") || !strings.HasSuffix(got, "-"+errExecAbort+"\r\n") {
		t.Errorf("%q", got)
	}
}

// TestRefused sees that a command that was thrown away has its reply in its place, and breaks a MULTI.
func TestRefused(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	refused := Request{Refused: "ERR argument too large"}
	cmds := slices.Concat(bytesOf("SET a 1"), []Request{refused, {}}, bytesOf("GET a;MULTI;SET a 2"), []Request{refused}, bytesOf("EXEC;GET a"))
	c.s.Serve(context.Background(), cmds, &c.w)
	want := "+OK\r\n-ERR argument too large\r\n-ERR syntax error\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n-ERR argument too large\r\n-" + errExecAbort + "\r\n$1\r\n1\r\n"
	if got := string(c.w.Bytes()); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestLimits(t *testing.T) {
	r := newRig(Limits{NameBytes: 4, ValueBytes: 8, Watches: 2, HistoryItems: 3, ReplyBytes: 16})
	c := r.client(1, 2)
	name, value := "-ERR name too large (limit 4 bytes)\r\n", "-ERR value too large (limit 8 bytes)\r\n"
	ranged := "-ERR string exceeds maximum allowed size: value too large (limit 8 bytes)\r\n"
	for line, want := range map[string]string{
		"GET 12345": name, "SET 12345 v": name, "LOCK 12345 o 100": name, "LOCK l 12345 100": name, "SEQNEXT 12345": name,
		"MGET a 12345": name, "DEL a 12345": name, "WATCH 12345": name, "SEQNEXT s IDEM 12345": name, "KPREFIX 12345": name,
		"SET a 123456789": value, "KSET a 123456789": value, "MSET a 1 b 123456789": value, "APPEND a 123456789": value,
		"SETRANGE a 8 x": ranged, "SETRANGE a 9223372036854775807 x": ranged, "KSET a v IFEQ 123456789": value,
		"WATCH a b c": "-ERR too many watched keys (limit 2)\r\n",
	} {
		if got := c.do(t, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	for _, line := range []string{"SET a 12345678", "APPEND b 12345678", "SETRANGE d 7 x"} {
		if got := c.do(t, line); got[0] == '-' {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := c.do(t, "APPEND b 9"); got != value {
		t.Errorf("APPEND: %q", got)
	}
	if got := c.do(t, "GET b"); got != "$8\r\n12345678\r\n" {
		t.Errorf("the refused APPEND changed something: %q", got)
	}
	if got := c.do(t, "MGET a b d"); got != "-ERR reply too large (limit 16 bytes)\r\n" {
		t.Errorf("MGET: %q", got)
	}
	c.send(lines("KSET h 1;KSET h 2;KSET h 3")...)
	if got := c.do(t, "KHISTORY h"); got[0] != '*' {
		t.Errorf("KHISTORY at the limit: %q", got)
	}
	c.do(t, "KSET h 4")
	if got := c.do(t, "KHISTORY h"); got != "-ERR the key has more than 3 versions (use COUNT)\r\n" {
		t.Errorf("KHISTORY above the limit: %q", got)
	}
}

// retried runs every transaction twice, as after a conflict.
type retried struct{ *fake }

func (r retried) Transact(ctx context.Context, watches []op.Seen, fn func(tx Doer) error) (bool, error) {
	first := true
	return r.fake.Transact(ctx, watches, func(tx Doer) error {
		if first {
			first = false
			throwaway := fakeTxn{r.state.clone(), r.state, r.last}
			if err := fn(throwaway); err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

// TestConflictRepliesOnce sees that a transaction that is run again writes its replies once, in the protocol it began with.
func TestConflictRepliesOnce(t *testing.T) {
	r := newRig(Limits{})
	r.Handler.backend = retried{r.fake}
	c := r.client(1, 2)
	got := c.send(lines("SET n 5;MULTI;GET nosuch;INCR n;DBSIZE;HELLO 3;GET nosuch;EXEC;GET n;MSETNX a 1 b 2;RENAME a z")...)
	if want := "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*5\r\n$-1\r\n:6\r\n:1\r\n%7\r\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
	if !strings.HasSuffix(got, "_\r\n$1\r\n6\r\n:1\r\n+OK\r\n") || !wellFormed(got, 11) {
		t.Errorf("%q", got)
	}
}

// TestScanMissesNothing scans a crowded slot and many others with cursors that are forgotten at once, while names come and
// go: every name that stays is seen.
func TestScanMissesNothing(t *testing.T) {
	for _, positions := range []int{1, 1 << 16} {
		r := newRig(Limits{ScanPositions: positions})
		c := r.client(1, 2)
		want := map[string]bool{}
		for i := range 400 {
			for _, k := range []string{fmt.Sprintf("k%d", i), fmt.Sprintf("{slot}%d", i)} {
				want[k] = true
				c.do(t, "SET "+k+" v")
			}
		}
		other := r.client(2, 2)
		cursor := uint64(0)
		for page := 0; ; page++ {
			var keys []string
			cursor, keys = scanPage(t, c, cursor)
			for _, k := range keys {
				delete(want, k)
			}
			if cursor == 0 {
				break
			}
			if cursor >= 1<<53 {
				t.Fatalf("cursor %d is not exact as floating point", cursor)
			}
			other.do(t, fmt.Sprintf("SET extra%d v", page))
			if positions > 1 || page < 20 {
				scanPage(t, other, uint64(op.Slot([]byte("{slot}"))))
			}
			if page > 2000 {
				t.Fatal("the scan does not end")
			}
		}
		if len(want) > 0 {
			t.Errorf("with %d positions: %d names were missed", positions, len(want))
		}
	}
}

func scanPage(t *testing.T, c *client, cursor uint64) (uint64, []string) {
	t.Helper()
	f := strings.Split(c.do(t, fmt.Sprintf("SCAN %d COUNT 7", cursor)), "\r\n")
	var next uint64
	if _, err := fmt.Sscan(f[2], &next); err != nil {
		t.Fatal(f, err)
	}
	var keys []string
	for i := 5; i < len(f); i += 2 {
		keys = append(keys, f[i])
	}
	return next, keys
}

func TestCursorForgetsOldest(t *testing.T) {
	c := newCursors(2, newRig(Limits{}).random)
	at := func(name string) *op.Position { return &op.Position{Slot: 9, Name: []byte(name)} }
	a, b := c.cursor(op.SpaceKey, at("a")), c.cursor(op.SpaceKey, at("b"))
	c.position(op.SpaceKey, a)
	third := c.cursor(op.SpaceKey, at("c"))
	for cursor, want := range map[uint64]string{a: "a", b: "", third: "c"} {
		if got := c.position(op.SpaceKey, cursor); string(got.Name) != want || got.Slot != 9 {
			t.Errorf("cursor %d: %+v, want %q", cursor, got, want)
		}
	}
	if got := c.position(op.SpaceLock, a); got.Name != nil || got.Slot != 9 {
		t.Errorf("a cursor of keys is one of locks: %+v", got)
	}
	if got := c.cursor(op.SpaceKey, &op.Position{Slot: 77}); got != 77 {
		t.Errorf("the cursor of a slot is %d", got)
	}
	if len(c.byID) != 2 || c.used.Len() != 2 || c.bytes != 2 {
		t.Errorf("%d and %d positions of %d bytes are kept", len(c.byID), c.used.Len(), c.bytes)
	}
	c.limit = 10
	c.cursor(op.SpaceKey, at(strings.Repeat("x", positionBytesMax)))
	if len(c.byID) != 1 || c.bytes != positionBytesMax {
		t.Errorf("%d positions of %d bytes are kept", len(c.byID), c.bytes)
	}
}

func TestClientKill(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	for i, step := range []struct{ line, want string }{
		{"CLIENT KILL 10.0.0.1:99", "+OK\r\n"},
		{"CLIENT KILL ID 101", ":1\r\n"},
		{"CLIENT KILL ADDR 10.0.0.1:99 USER default LADDR nowhere", ":0\r\n"},
		{"CLIENT KILL TYPE normal", ":1\r\n"},
		{"CLIENT KILL TYPE pubsub", ":0\r\n"},
		{"CLIENT KILL USER nobody", "-ERR No such user 'nobody'\r\n"},
	} {
		killed := 0
		victim := r.Open(Conn{ID: int64(100 + i), Remote: "10.0.0.1:99", Kill: func() { killed++ }})
		got, listed := c.do(t, step.line), strings.Contains(c.do(t, "CLIENT LIST"), "10.0.0.1:99")
		if wanted := step.want == "+OK\r\n" || step.want == ":1\r\n"; got != step.want || (killed == 1) != wanted || listed == wanted {
			t.Errorf("%s: %q, %d killed, listed: %t", step.line, got, killed, listed)
		}
		victim.Close()
		if got := c.do(t, "CLIENT KILL ID "+itoa(int64(100+i))); got != ":0\r\n" {
			t.Errorf("a closed connection is listed: %q", got)
		}
	}
	if c.send([]string{"CLIENT", "KILL", "ID", "1", "SKIPME", "no"}) != ":1\r\n" || !c.s.closing {
		t.Error("the caller was not closed")
	}
}

// TestClientsAtOnce runs clients at the same time; -race judges what they share.
func TestClientsAtOnce(t *testing.T) {
	r := newRig(Limits{})
	var seed sync.Mutex
	r.Handler.rand = func() uint64 {
		seed.Lock()
		defer seed.Unlock()
		return r.random()
	}
	const clients, rounds = 8, 30
	var wg sync.WaitGroup
	for id := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := r.Open(Conn{ID: int64(id + 1)})
			defer s.Close()
			var w resp.Writer
			for range rounds {
				s.Serve(context.Background(), bytesOf("INCR n;CLIENT SETNAME c;CLIENT LIST;MULTI;INCR m;DBSIZE;EXEC;SCAN 0;RANDOMKEY;INFO;HELLO 3"), &w)
				w.Reset()
			}
		}()
	}
	wg.Wait()
	got := r.client(99, 2).do(t, "MGET n m")
	if want := fmt.Sprintf("*2\r\n$3\r\n%d\r\n$3\r\n%d\r\n", clients*rounds, clients*rounds); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func bytesOf(text string) (cmds []Request) {
	for _, l := range lines(text) {
		var cmd [][]byte
		for _, a := range l {
			cmd = append(cmd, []byte(a))
		}
		cmds = append(cmds, Request{Args: cmd})
	}
	return cmds
}
