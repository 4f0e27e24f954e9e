package viewtest

import (
	"fmt"
	"strconv"
	"strings"

	"kahuna/mvcc"
	"kahuna/op"
)

// Dump writes every name that was ever written, in order, a line each, with values as Go strings.
func (v *View) Dump() string {
	return v.DumpFunc(func(_ op.Name, value []byte) string { return strconv.Quote(string(value)) })
}

// DumpFunc does the same with values as show writes them.
func (v *View) DumpFunc(show func(n op.Name, value []byte) string) string {
	var b strings.Builder
	for _, r := range v.rows {
		if r.cur.TS > 0 {
			fmt.Fprintf(&b, "%s: %s\n", describe(r.name), r.text(v.now, show))
		}
	}
	return b.String()
}

func (r *row) text(now op.Timestamp, show func(op.Name, []byte) string) string {
	head := fmt.Sprintf("rev %d at %s", r.cur.Rev, Time(r.cur.TS))
	if r.cur.Deleted {
		return head + " deleted"
	}
	if r.cur.Type != mvcc.TypeString {
		head += fmt.Sprintf(" type %d", r.cur.Type)
	}
	if r.cur.NoRev {
		head += " norev"
	}
	switch at := r.cur.ExpireAt; {
	case at > now:
		head += " until " + Time(at)
	case at > 0:
		head += " expired " + Time(at)
	}
	return head + " " + show(r.name, r.cur.Value)
}

var spaces = [...]string{op.SpaceKey: "key", op.SpaceLock: "lock", op.SpaceSeq: "seq", op.SpaceIdem: "idem"}

func spaceOf(name string) op.Space {
	for s, text := range spaces {
		if text == name {
			return op.Space(s)
		}
	}
	panic("viewtest: no space " + name)
}

func describe(n op.Name) string {
	text := spaces[n.Space] + " " + word(n.Key)
	if len(n.Sub) > 0 {
		text += "/" + word(n.Sub)
	}
	return text
}

// word is a name as it stands in a script: bare if it can.
func word(b []byte) string {
	if s := string(b); s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
		return s
	}
	return strconv.Quote(string(b))
}

// Time writes a timestamp as milliseconds since the epoch of timestamps, a dot, and the counter.
func Time(t op.Timestamp) string {
	if t == op.MaxTimestamp {
		return "max"
	}
	return fmt.Sprintf("%d.%d", t>>op.CounterBits, t&(1<<op.CounterBits-1))
}

// ParseTime reads what Time writes; the counter may be left out.
func ParseTime(s string) (op.Timestamp, error) {
	if s == "max" {
		return op.MaxTimestamp, nil
	}
	ms, counter, _ := strings.Cut(s, ".")
	m, err := strconv.ParseUint(ms, 10, 41)
	if err != nil {
		return 0, err
	}
	var c uint64
	if counter != "" {
		if c, err = strconv.ParseUint(counter, 10, op.CounterBits); err != nil {
			return 0, err
		}
	}
	return op.Timestamp(m<<op.CounterBits | c), nil
}
