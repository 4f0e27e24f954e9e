package check

import (
	"strings"
	"testing"
	"time"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// past builds a history by hand. Times are in milliseconds; an end below 0 is one that was not seen.
type past struct{ log history.Log }

func (p *past) add(client int, o op.Op, call, end int, res op.Result) *past {
	e := &history.Event{Client: client, Op: o, Call: ms(call), Return: history.Never, Result: res}
	if end >= 0 {
		e.Return = ms(end)
	}
	p.log.Add(e)
	return p
}

func (p *past) events() []*history.Event { return p.log.Events() }

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// expect fails unless the violations are as wanted: none for "", else at least one with that text.
func expect(t *testing.T, found []Violation, want string) {
	t.Helper()
	if want == "" {
		for _, v := range found {
			t.Errorf("a good history is refused: %v", v)
		}
		return
	}
	for _, v := range found {
		if strings.Contains(v.String(), want) {
			return
		}
	}
	t.Errorf("a history with %q is not refused for it: %v", want, found)
}
