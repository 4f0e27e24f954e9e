package check

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// RevUnknown stands for the revision of a result that did not tell it.
const RevUnknown = math.MaxUint64

// register is a key as the model has it.
type register struct {
	rev   uint64
	live  bool
	value string
}

// registers is the model of keys under Set, Delete and Get. What an operation asks and answers is in its event; that it has no
// known end is too.
var registers = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) { return state.(register).step(input.(*history.Event)) },
	DescribeOperation: func(input, _ any) string {
		return input.(*history.Event).String()
	},
	DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
}

func (r register) step(e *history.Event) (bool, any) {
	known, res := e.Known(), e.Result
	switch o := e.Op.(type) {
	case *op.Set:
		if !r.admits(o) {
			return !known || !res.Done && is(res.Rev, r.shown()), r
		}
		return !known || res.Done && res.Rev == r.rev+1, register{rev: r.rev + 1, live: true, value: string(o.Value)}
	case *op.Delete:
		if !r.live {
			return !known || !res.Done, r
		}
		return !known || res.Done && is(res.Rev, r.rev+1), register{rev: r.rev + 1}
	case *op.Get:
		if !r.live {
			return !known || !res.Found, r
		}
		return !known || res.Found && res.Rev == r.rev && string(res.Value) == r.value, r
	}
	return false, r
}

func is(told, rev uint64) bool { return told == RevUnknown || told == rev }

func (r register) admits(o *op.Set) bool {
	return o.Cond != op.IfRev || r.shown() == o.CondRev
}

// shown is the revision as conditions see it.
func (r register) shown() uint64 {
	if !r.live {
		return 0
	}
	return r.rev
}

// Registers judges Set, Delete and Get of current values: each key must behave as one register. A search that takes longer than
// limit is a violation too. With a path, the picture of the first key that can't be explained is written there.
func Registers(events []*history.Event, limit time.Duration, path string) (found []Violation) {
	for key, of := range history.ByName(events) {
		var ops []porcupine.Operation
		for _, e := range of {
			_, read := e.Op.(*op.Get)
			if e.At > 0 || read && !e.Known() {
				continue
			}
			ops = append(ops, porcupine.Operation{ClientId: e.Client, Input: e, Call: int64(e.Call), Return: int64(e.Return)})
		}
		result, info := porcupine.CheckOperationsVerbose(registers, ops, limit)
		switch result {
		case porcupine.Ok:
		case porcupine.Unknown:
			found = append(found, violation("registers", nil, "key %s: no verdict on %d operations within %v", key, len(ops), limit))
		default:
			found = append(found, violation("registers", nil, "key %s is not linearizable, %d operations%s", key, len(ops), picture(info, path)))
			path = ""
		}
	}
	return found
}

func picture(info porcupine.LinearizationInfo, path string) string {
	if path == "" {
		return ""
	}
	if err := porcupine.VisualizePath(registers, info, path); err != nil {
		return "; no picture: " + err.Error()
	}
	return "; see " + path
}
