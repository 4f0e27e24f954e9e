package compat

import (
	"strings"
	"testing"

	"kahuna/commands/scripttest"
)

// TestKeyspaceEvents sees what subscribers are told of keys that a client changes, up to their expiry.
func TestKeyspaceEvents(t *testing.T) {
	changer, listener := scripttest.Dial(t, addr), scripttest.Dial(t, addr)
	if got, err := changer(strings.Fields("CONFIG SET notify-keyspace-events KEA")); err != nil || got != "+OK\r\n" {
		t.Fatalf("%q, %v", got, err)
	}
	defer changer([]string{"CONFIG", "SET", "notify-keyspace-events", ""})
	if _, err := listener([]string{"PSUBSCRIBE", "__keyspace@0__:events:*"}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"SET events:k 1", "INCR events:k", "PEXPIRE events:k 60000", "PERSIST events:k", "DEL events:k", "LOCK events:k me 1000",
		"SET events:x v PX 20"} {
		if _, err := changer(strings.Fields(line)); err != nil {
			t.Fatal(line, err)
		}
	}
	for _, want := range []string{"k set", "k incrby", "k expire", "k persist", "k del", "x set", "x expire", "x expired"} {
		got, err := listener(nil)
		if err != nil {
			t.Fatal(want, err)
		}
		words := strings.Split(got, "\r\n")
		if n := len(words); n < 4 || strings.TrimPrefix(words[n-4], "__keyspace@0__:events:")+" "+words[n-2] != want {
			t.Errorf("got %q, want %s", got, want)
		}
	}
}
