package commands

import (
	"strings"
	"testing"

	"kahuna/commands/scripttest"
)

// FuzzCommand serves any arguments, alone and inside MULTI: there is never a panic, and always exactly one well-formed reply
// for each command. Words are separated by spaces, commands by newlines.
func FuzzCommand(f *testing.F) {
	for _, row := range newTable().sorted {
		f.Add(row.Name)
		f.Add(row.Name + " a 1 2 3")
		f.Add(strings.ToUpper(row.Name) + " " + row.Syntax)
	}
	for _, seed := range []string{"SET k v EX 9223372036854775807", "SCAN 4611686018427387904 COUNT 1", "SETRANGE k 4294967295 x", "KGET k ASOF -9223372036854775808",
		"KPREFIX a AFTER b LIMIT 1 ASOF 1", "MULTI\nSET a 1\nKHISTORY a\nEXEC", "WATCH a\nMULTI\nSCAN 0\nEXEC", "SEQCREATE s STEP -9223372036854775808", "HELLO 3\nKGET a META"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<12 {
			return
		}
		for _, proto := range []int{2, 3} {
			r := newRig(Limits{QueuedCommands: 16})
			c := r.client(1, proto)
			c.send([]string{"MSET", "a", "1", "b", "x"}, []string{"LOCK", "a", "o", "1000"}, []string{"SEQNEXT", "a"})
			play(t, c, text)
			play(t, c, "MULTI\n"+text+"\nEXEC")
		}
	})
}

func play(t *testing.T, c *client, text string) {
	for _, line := range strings.Split(text, "\n") {
		args, err := scripttest.Words(line)
		if err != nil {
			args = strings.Split(line, " ")
		}
		if len(args) == 0 || c.s.closing {
			continue
		}
		reply, replies := c.send(args), 1
		if c.s.mute != nil {
			return // CLIENT REPLY: what follows has no replies
		}
		if row := c.s.h.table.find([]byte(args[0])); row != nil && strings.HasSuffix(row.Name, "subscribe") && strings.HasPrefix(strings.TrimLeft(reply, "*>"), "3") {
			replies = max(len(args)-1, 1) // a confirmation for each channel
		}
		if !wellFormed(reply, replies) {
			t.Fatalf("%q: not one well-formed reply: %q", args, reply)
		}
	}
}
