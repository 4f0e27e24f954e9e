package sequencer

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

func TestScripts(t *testing.T) {
	viewtest.Script{Run: runCommand, Show: showStored}.Files(t, "testdata")
}

// runCommand runs one command of a script:
//
//	create NAME [start N] [step N] [min N] [max N] [cycle]
//	next NAME [count N] [idem KEY MS]
//	set NAME VALUE [force]
//	del NAME
//	get NAME
func runCommand(v *viewtest.View, words []string) (string, error) {
	res, handled, err := Run(v, parse(viewtest.NewArgs(words)))
	if err != nil {
		return "", err
	}
	if !handled {
		return "not handled", nil
	}
	return show(words[0], res), nil
}

func parse(a *viewtest.Args) op.Op {
	defer a.End()
	switch name := a.Word(); name {
	case "create":
		o := &op.SeqCreate{Name: a.Bytes()}
		o.SeqSettings = Asked{
			Start: option(a, "start"), Step: option(a, "step"), Min: option(a, "min"), Max: option(a, "max"), Cycle: a.Is("cycle"),
		}.Settings()
		return o
	case "next":
		o := &op.SeqNext{Name: a.Bytes(), Count: 1}
		if a.Is("count") {
			o.Count = uint32(a.Int())
		}
		if a.Is("idem") {
			o.Idem, o.IdemMilli = a.Bytes(), a.Int()
		}
		return o
	case "set":
		return &op.SeqSet{Name: a.Bytes(), Value: a.Int(), Force: a.Is("force")}
	case "del":
		return &op.SeqDelete{Name: a.Bytes()}
	case "get":
		return &op.SeqGet{Name: a.Bytes()}
	default:
		panic("no command " + name)
	}
}

func option(a *viewtest.Args, name string) *int64 {
	if !a.Is(name) {
		return nil
	}
	n := a.Int()
	return &n
}

func show(command string, r op.Result) string {
	switch {
	case r.Status != op.OK:
		return statuses[r.Status]
	case r.Seq != nil:
		return showState(r.Seq)
	case command == "get":
		return "none"
	case !r.Done:
		return "no"
	case command == "next":
		return fmt.Sprintf("%d to %d step %d", r.Int, r.Last, r.Step)
	}
	return "done"
}

var statuses = map[op.Status]string{
	op.Exists: "exists", op.NotFound: "not found", op.Exhausted: "exhausted", op.IdemMismatch: "idem mismatch",
	op.WrongDirection: "wrong direction", op.OutOfBounds: "out of bounds", op.BadSettings: "bad settings",
}

func showStored(n op.Name, value []byte) string {
	if n.Space == op.SpaceIdem {
		a, err := decodeAnswer(value)
		if err != nil {
			return strconv.Quote(string(value))
		}
		return fmt.Sprintf("of %s count %d: %d to %d step %d", viewtest.Time(a.created), a.count, a.first, a.last, a.step)
	}
	s, err := Decode(mvcc.Record{Type: mvcc.TypeString, Value: value})
	if err != nil {
		return strconv.Quote(string(value))
	}
	return showState(&s)
}

func showState(s *op.SeqState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "start %d step %d [%d, %d]", s.Start, s.Step, s.Min, s.Max)
	if s.Cycle {
		b.WriteString(" cycle")
	}
	if s.Started {
		fmt.Fprintf(&b, " last %d", s.Last)
	}
	fmt.Fprintf(&b, " created %s", viewtest.Time(s.Created))
	return b.String()
}
