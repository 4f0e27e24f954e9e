package commands

import (
	"bufio"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kahuna/commands/scripttest"
)

// TestHashLimits sees that neither a hash nor what is read of it grows beyond the limits, and that nothing was changed then.
func TestHashLimits(t *testing.T) {
	r := newRig(Limits{ValueBytes: 100, ReplyBytes: 300})
	c := r.client(1, 2)
	large := strings.Repeat("x", 60)
	const tooLarge = "-ERR value too large (limit 100 bytes)\r\n"
	for _, step := range []struct{ line, want string }{
		{"HSET h a " + large, ":1\r\n"},
		{"HSET h b " + large, tooLarge},
		{"HSET h a 1 b 2 c " + strings.Repeat("x", 100), tooLarge},
		{"HSETNX h b " + large, tooLarge},
		{"HINCRBY h " + large + " 1", tooLarge},
		{"HINCRBYFLOAT h " + large + " 1", tooLarge},
		{"HLEN h", ":1\r\n"},
		{"HMGET h a a", "-ERR reply too large (limit 100 bytes)\r\n"},
		{"HMGET h a nosuch", "*2\r\n$60\r\n" + large + "\r\n$-1\r\n"},
		{"HRANDFIELD h -9223372036854775807", "-ERR reply too large (limit 300 bytes)\r\n"},
		{"HRANDFIELD h -5 WITHVALUES", "-ERR reply too large (limit 300 bytes)\r\n"},
		{"HRANDFIELD h -2", "*2\r\n$1\r\na\r\n$1\r\na\r\n"},
	} {
		if got := c.do(t, step.line); got != step.want {
			t.Errorf("%s: %q, want %q", step.line, got, step.want)
		}
	}
}

// TestRandomFields sees that a positive count gives different fields, all of them in the end, and a negative one any.
func TestRandomFields(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	line := "HSET h"
	for i := range 20 {
		line += " f" + strconv.Itoa(i) + " v" + strconv.Itoa(i)
	}
	c.do(t, line)
	seen, single, repeated := map[string]bool{}, map[string]bool{}, false
	for range 100 {
		some := elements(t, c.do(t, "HRANDFIELD h 7"))
		if distinct := slices.Compact(slices.Sorted(slices.Values(some))); len(distinct) != 7 {
			t.Fatalf("%q", some)
		}
		for _, f := range some {
			seen[f] = true
		}
		single[c.do(t, "HRANDFIELD h")] = true
		any := elements(t, c.do(t, "HRANDFIELD h -15"))
		distinct := slices.Compact(slices.Sorted(slices.Values(any)))
		if len(any) != 15 {
			t.Fatalf("%q", any)
		}
		repeated = repeated || len(distinct) < 15
		pairs := elements(t, c.do(t, "HRANDFIELD h 3 WITHVALUES"))
		for i := 0; i < len(pairs); i += 2 {
			if "v"+strings.TrimPrefix(pairs[i], "f") != pairs[i+1] {
				t.Fatalf("%q", pairs)
			}
		}
	}
	if len(seen) != 20 || len(single) != 20 || !repeated {
		t.Errorf("%d and %d of 20 fields came; repeated: %v", len(seen), len(single), repeated)
	}
}

// elements are the bulk strings of an array.
func elements(t *testing.T, reply string) (list []string) {
	t.Helper()
	if _, err := scripttest.ReadReply(bufio.NewReader(strings.NewReader(reply))); err != nil || reply[0] != '*' {
		t.Fatalf("%q: %v", reply, err)
	}
	lines := strings.Split(reply, "\r\n")
	for i := 2; i < len(lines); i += 2 {
		list = append(list, lines[i])
	}
	return list
}
