package history

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"kahuna/op"
)

// String is one line for people.
func (e *Event) String() string {
	end, result := "never", "?"
	if e.Known() {
		end, result = e.Return.String(), describeResult(e.Op, &e.Result)
	}
	at := ""
	if e.At > 0 {
		at = fmt.Sprintf(" at %d", e.At)
	}
	return fmt.Sprintf("#%d client %d on %s [%v, %s] %s%s -> %s", e.ID, e.Client, e.Node, e.Call, end, describe(e.Op), at, result)
}

func describe(o op.Op) string {
	switch o := o.(type) {
	case *op.Get:
		return fmt.Sprintf("get %s", o.Key)
	case *op.Set:
		if o.Cond == op.IfRev {
			return fmt.Sprintf("set %s %s if rev %d", o.Key, o.Value, o.CondRev)
		}
		return fmt.Sprintf("set %s %s", o.Key, o.Value)
	case *op.Delete:
		return fmt.Sprintf("delete %s", o.Key)
	case *op.Incr:
		return fmt.Sprintf("incr %s %d", o.Key, o.Delta)
	case *op.LockAcquire:
		return fmt.Sprintf("lock %s %s %d ms shared %v permits %d", o.Name, o.Owner, o.TTLMilli, o.Shared, o.Permits)
	case *op.LockExtend:
		return fmt.Sprintf("extend %s %s %d ms", o.Name, o.Owner, o.TTLMilli)
	case *op.LockRelease:
		return fmt.Sprintf("unlock %s %s", o.Name, o.Owner)
	case *op.LockInfo:
		return fmt.Sprintf("lockinfo %s", o.Name)
	case *op.SeqNext:
		return fmt.Sprintf("next %s %d idem %q", o.Name, o.Count, o.Idem)
	}
	return fmt.Sprintf("%T %s", o, o.Target().Key)
}

func describeResult(o op.Op, r *op.Result) string {
	if r.Status != op.OK {
		return fmt.Sprintf("status %d", r.Status)
	}
	switch o.(type) {
	case *op.Get:
		return fmt.Sprintf("found %v %s rev %d ts %d", r.Found, r.Value, r.Rev, r.TS)
	case *op.Set, *op.Delete:
		return fmt.Sprintf("done %v rev %d", r.Done, r.Rev)
	case *op.LockInfo:
		if r.Lock == nil || len(r.Lock.Holds) == 0 {
			return "free"
		}
		text := "held by"
		for _, h := range r.Lock.Holds {
			text += fmt.Sprintf(" %s, token %d", h.Owner, h.Token)
		}
		return text
	case *op.SeqNext:
		return fmt.Sprintf("%d to %d", r.Int, r.Last)
	}
	return fmt.Sprintf("done %v int %d", r.Done, r.Int)
}

// Save writes events to a file, one line each.
func Save(path string, events []*Event) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, e := range events {
		if _, err := io.WriteString(w, e.String()+"\n"); err != nil {
			_ = f.Close()
			return err
		}
	}
	if err := w.Flush(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
