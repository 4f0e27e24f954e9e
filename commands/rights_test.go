package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kahuna/acl"
	"kahuna/cluster"
)

// TestGuessesSlowDown: wrong passwords of one user from one address wait longer and longer, and only so many at once.
func TestGuessesSlowDown(t *testing.T) {
	var g guesses
	now := time.Unix(1000, 0)
	who := newGuesser("192.0.2.1:5", "ann")
	try := func(who guesser) time.Duration {
		wait, ok := g.begin(who, now)
		if !ok {
			t.Fatal("refused")
		}
		g.end(who, wait > 0, false, now)
		return wait
	}
	for i := range guessesFree {
		if w := try(who); w != 0 {
			t.Fatalf("wrong password %d waits %v", i, w)
		}
	}
	if a, b := try(who), try(newGuesser("192.0.2.1:6", "ann")); a != guessDelay || b != 2*guessDelay {
		t.Errorf("then %v, %v", a, b)
	}
	for range 20 {
		try(who)
	}
	if w, _ := g.begin(newGuesser("192.0.2.9:1", "ann"), now); w != guessDelayShare {
		t.Errorf("the user from another address waits %v", w)
	}
	if w, _ := g.begin(newGuesser("192.0.2.9:1", "bob"), now); w != 0 {
		t.Errorf("another user from another address waits %v", w)
	}
	for i := range guessesAtOnce + 1 {
		if w, ok := g.begin(who, now); ok != (i < guessesAtOnce) || ok && w != guessDelayMax {
			t.Errorf("number %d at once: %v, %v", i, w, ok)
		}
	}
	now = now.Add(guessMemory)
	if w, ok := g.begin(who, now); w != 0 || !ok {
		t.Errorf("after a while: %v, %v", w, ok)
	}
	for i := range 2 * guessersMax {
		try(newGuesser(fmt.Sprintf("[2001:db8::%x]:1", i), strings.Repeat("x", 1000)+fmt.Sprint(i)))
	}
	if len(g.failed) > guessersMax+2 {
		t.Errorf("%d are remembered", len(g.failed))
	}
}

// TestGuessWaits: the password is not looked at before the wait is over.
func TestGuessWaits(t *testing.T) {
	r := newRig(Limits{})
	var waited []time.Duration
	r.after = func(d time.Duration) <-chan time.Time {
		waited = append(waited, d)
		c := make(chan time.Time)
		close(c)
		return c
	}
	c := r.client(1, 2)
	c.do(t, "ACL SETUSER ann on >pw")
	waited = nil
	for range guessesFree {
		c.do(t, "AUTH ann wrong")
	}
	if len(waited) != 0 {
		t.Errorf("waited %v", waited)
	}
	if reply := c.do(t, "AUTH ann pw"); reply != "+OK\r\n" || len(waited) != 1 || waited[0] != guessDelay {
		t.Errorf("%q after %v", reply, waited)
	}
	r.after = func(time.Duration) <-chan time.Time { return nil }
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.s.authenticate(ctx, "ann", []byte("pw"), "AUTH"); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that went: %v", err)
	}
}

func TestRefusal(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	c.do(t, "CONFIG SET protected-mode yes")
	remotes := []string{"192.0.2.1:1", "[2001:db8::1]:1"}
	for _, remote := range remotes {
		if !strings.HasPrefix(r.Refusal(remote), "DENIED ") {
			t.Errorf("%s is served", remote)
		}
	}
	for _, remote := range []string{"127.0.0.1:1", "[::1]:1", "@"} {
		if text := r.Refusal(remote); text != "" {
			t.Errorf("%s: %s", remote, text)
		}
	}
	c.do(t, "CONFIG SET requirepass x")
	for _, remote := range remotes {
		if text := r.Refusal(remote); text != "" {
			t.Errorf("with a password %s: %s", remote, text)
		}
	}
	member := false
	r.member = func() bool { return member }
	if !strings.HasPrefix(r.Refusal("127.0.0.1:1"), "LOADING ") {
		t.Error("a node without the cluster's state serves")
	}
	if member = true; r.Refusal("127.0.0.1:1") != "" {
		t.Error("a member does not serve")
	}
	if member = false; r.Refusal("127.0.0.1:1") != "" {
		t.Error("a member that was one serves no more")
	}
}

// TestDeletedUser: its connections end, save that the one which deletes itself gets the reply first.
func TestDeletedUser(t *testing.T) {
	r := newRig(Limits{})
	root := r.client(1, 2)
	root.do(t, "ACL SETUSER ann on nopass +@all")
	killed := 0
	ann := &client{s: r.Open(Conn{ID: 2, Kill: func() { killed++ }})}
	ann.do(t, "AUTH ann x")
	other := &client{s: r.Open(Conn{ID: 3, Kill: func() { t.Error("another user's connection was closed") }})}
	if root.do(t, "ACL DELUSER ann"); killed != 1 {
		t.Errorf("closed %d times", killed)
	}
	if reply := ann.do(t, "PING"); reply != "-"+errNoAuth+"\r\n" || !ann.s.closing {
		t.Errorf("%q", reply)
	}
	if reply := other.do(t, "PING"); reply != "+PONG\r\n" {
		t.Errorf("%q", reply)
	}
	root.do(t, "ACL SETUSER eve on nopass +@all")
	eve := &client{s: r.Open(Conn{ID: 4, Kill: func() { t.Error("the reply was cut off") }})}
	eve.do(t, "AUTH eve x")
	if reply := eve.do(t, "ACL DELUSER eve"); reply != ":1\r\n" || !eve.s.closing {
		t.Errorf("%q", reply)
	}
}

// TestChangesMeet: two changes of a user at the same time both hold.
func TestChangesMeet(t *testing.T) {
	r := newRig(Limits{})
	c, other := r.client(1, 2), r.client(2, 2)
	c.do(t, "ACL SETUSER ann on +get")
	r.docs.conflict = func() { other.do(t, "ACL SETUSER ann ~a") }
	c.do(t, "ACL SETUSER ann ~b")
	if rules := r.users.Get("ann").User().Rules(); rules != "on ~a ~b resetchannels -@all +get" {
		t.Error(rules)
	}
}

// TestDamagedUsers: what can't be read changes no rights, and is told.
func TestDamagedUsers(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	c.do(t, "ACL SETUSER ann on +get")
	r.docs.docs = append(r.docs.docs, cluster.Document{Key: userPrefix + "bob", Value: []byte{9}, Version: 7})
	if err := r.LoadUsers(); !errors.Is(err, errUserDocument) {
		t.Error(err)
	}
	if bob := r.users.Get("bob").User(); bob.Enabled() || bob.Unrestricted() {
		t.Error("bob has rights")
	}
	if reply := c.do(t, "ACL SETUSER bob on"); !strings.HasPrefix(reply, "-ERR ") {
		t.Errorf("%q", reply)
	}
}

func TestDenialsAreCounted(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	c.do(t, "ACL SETUSER ann on >pw +acl ~a")
	c.do(t, "AUTH ann wrong")
	c.do(t, "AUTH ann pw")
	for range 3 {
		c.do(t, "GET a")
	}
	r.clock = r.clock.Add(denialTogether)
	c.do(t, "GET a")
	lines := r.denials.newest(10)
	if len(lines) != 3 || lines[0].count != 1 || lines[1].count != 3 || lines[1].object != "get" || lines[2].reason != "auth" {
		t.Errorf("%+v", lines)
	}
	for i := range 2 * denialsDefault {
		r.denials.add(denial{object: fmt.Sprint(i)})
	}
	if n := len(r.denials.newest(1000)); n != denialsDefault {
		t.Errorf("%d lines", n)
	}
	r.send(t, "CONFIG SET acllog-max-len 3")
	if n := len(r.denials.newest(1000)); n != 3 {
		t.Errorf("%d lines", n)
	}
}

// TestLostChannel: who may no longer listen gets nothing more, and is closed.
func TestLostChannel(t *testing.T) {
	r := newRig(Limits{})
	root, ann := r.listener(1, 2), r.listener(2, 3)
	killed := 0
	ann.s.conn.Kill = func() { killed++ }
	root.do(t, "ACL SETUSER ann on nopass +@all &news")
	ann.do(t, "AUTH ann x")
	ann.do(t, "SUBSCRIBE news")
	root.do(t, "PUBLISH news one")
	root.do(t, "ACL SETUSER ann resetchannels")
	if root.do(t, "PUBLISH news two"); killed != 1 {
		t.Errorf("closed %d times", killed)
	}
}

// BenchmarkAdmit is what the check costs each command.
func BenchmarkAdmit(b *testing.B) {
	r := newRig(Limits{})
	line := [][]byte{[]byte("SET"), []byte("app:key"), []byte("v")}
	row := r.table.find(line[0])
	for name, rules := range map[string][]string{"all": nil, "few": {"on", "nopass", "+@all", "-@admin", "~x:*", "~app:*"}} {
		b.Run(name, func(b *testing.B) {
			s := r.client(1, 2).s
			if rules != nil {
				user, err := acl.NewUser(r.catalog, "default").Apply(rules)
				if err != nil {
					b.Fatal(err)
				}
				s.become(acl.NewUsers(user).Default(), true)
			}
			b.ReportAllocs()
			for b.Loop() {
				if text := s.admit(row, line); text != "" {
					b.Fatal(text)
				}
			}
		})
	}
}

// TestValueIsNoOption: a value that looks like an option asks for no more rights.
func TestValueIsNoOption(t *testing.T) {
	r := newRig(Limits{})
	r.send(t, "ACL SETUSER w on nopass +@all %W~*")
	c := r.client(1, 2)
	c.do(t, "AUTH w x")
	for line, want := range map[string]string{
		"SET k get": "+OK\r\n", "SET k v GET": "-NOPERM No permissions to access a key\r\n",
		"COMMAND GETKEYSANDFLAGS SET k get": "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+OW\r\n+update\r\n",
	} {
		if got := c.do(t, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	if got := c.do(t, "KSET new ifeq"); got != ":1\r\n" {
		t.Errorf("KSET: %q", got)
	}
}
