package cluster

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/e2e/wire"
	"kahuna/tests/sim/check"
)

// callTimeout is how long a client waits for a reply; a server gives up before.
const callTimeout = 8 * time.Second

// target is a node as one client reaches it over RESP, by one connection that is made anew when it breaks. Addresses stay.
type target struct {
	w    *load.World
	name string
	addr string
	conn *wire.Conn
}

func (t *target) Name() string { return t.name }

// send has commands sent in one write, and gives their replies. end is Answered when all of them are there.
func (t *target) send(commands ...[]string) (replies []*wire.Reply, end load.Outcome) {
	if t.conn == nil {
		c, err := wire.Dial(t.addr, time.Second)
		if err != nil {
			return nil, load.Denied // nothing was sent
		}
		t.conn = c.Patient(callTimeout)
	}
	if err := t.conn.Send(commands...); err != nil {
		return nil, t.drop()
	}
	for range commands {
		r, err := t.conn.Receive()
		if err != nil {
			return replies, t.drop()
		}
		replies = append(replies, r)
	}
	return replies, load.Answered
}

func (t *target) drop() load.Outcome {
	t.conn.Close()
	t.conn = nil
	return load.Unknown
}

// judge tells how a call ended by the text of its error.
func (t *target) judge(call string, r *wire.Reply) load.Outcome {
	switch prefix, _, _ := strings.Cut(r.Err(), " "); prefix {
	case "":
		return load.Answered
	case "UNCERTAIN":
		return load.Unknown
	case "TRYAGAIN", "CLUSTERDOWN", "CONFLICT":
		return load.Denied
	}
	t.w.Fail("%s: %s answers %s", t.name, call, r)
	return load.Unknown
}

func (t *target) do(args ...string) (*wire.Reply, load.Outcome) {
	replies, end := t.send(args)
	if end != load.Answered {
		return nil, end
	}
	return replies[0], t.judge(strings.Join(args, " "), replies[0])
}

// Do has one operation done.
func (t *target) Do(o op.Op) (res op.Result, end load.Outcome) {
	r, end := t.do(command(o)...)
	if end != load.Answered {
		return res, end
	}
	if res, err := result(o, r); err == nil {
		return res, end
	}
	t.w.Fail("%s: %q answers %s", t.name, command(o), r)
	return res, load.Unknown
}

// Atomic has operations done as one transaction.
func (t *target) Atomic(ops []op.Op) (results []op.Result, end load.Outcome) {
	commands := [][]string{{"MULTI"}}
	for _, o := range ops {
		commands = append(commands, command(o))
	}
	replies, end := t.send(append(commands, []string{"EXEC"})...)
	if end != load.Answered {
		return nil, end
	}
	exec := replies[len(replies)-1]
	if end := t.judge("EXEC", exec); end != load.Answered {
		return nil, end
	}
	for i, o := range ops {
		if i >= len(exec.Parts) || t.judge("EXEC", exec.Parts[i]) != load.Answered {
			t.w.Fail("%s: EXEC answers %s", t.name, exec)
			return nil, load.Unknown
		}
		res, err := result(o, exec.Parts[i])
		if err != nil {
			t.w.Fail("%s: EXEC answers %s: %v", t.name, exec, err)
			return nil, load.Unknown
		}
		results = append(results, res)
	}
	return results, end
}

// Timestamps takes n timestamps.
func (t *target) Timestamps(n int) (op.Timestamp, load.Outcome) {
	r, end := t.do("TIMESTAMP", "COUNT", strconv.Itoa(n))
	if end != load.Answered {
		return 0, end
	}
	return op.Timestamp(r.Int), end
}

// command is an operation as a client asks for it.
func command(o op.Op) []string {
	text := func(args ...any) (all []string) {
		for _, a := range args {
			if b, ok := a.([]byte); ok {
				a = string(b)
			}
			all = append(all, fmt.Sprint(a))
		}
		return all
	}
	switch o := o.(type) {
	case *op.Get:
		return text("KGET", o.Key, "META")
	case *op.Set:
		if o.Cond == op.IfRev {
			return text("KSET", o.Key, o.Value, "IFREV", o.CondRev)
		}
		return text("KSET", o.Key, o.Value)
	case *op.Delete:
		return text("KDEL", o.Key)
	case *op.Incr:
		return text("INCRBY", o.Key, o.Delta)
	case *op.LockAcquire:
		return text("LOCK", o.Name, o.Owner, o.TTLMilli)
	case *op.LockExtend:
		return text("LOCKEXTEND", o.Name, o.Owner, o.TTLMilli)
	case *op.LockRelease:
		return text("UNLOCK", o.Name, o.Owner)
	case *op.LockInfo:
		return text("LOCKINFO", o.Name)
	case *op.SeqNext:
		if len(o.Idem) > 0 {
			return text("SEQNEXT", o.Name, "COUNT", o.Count, "IDEM", o.Idem)
		}
		return text("SEQNEXT", o.Name, "COUNT", o.Count)
	case *op.SeqGet:
		return text("SEQGET", o.Name)
	case *op.History:
		return text("KHISTORY", o.Key, "COUNT", o.Limit)
	}
	panic(fmt.Sprintf("%T has no command here", o))
}

// result is what a reply says about an operation.
func result(o op.Op, r *wire.Reply) (res op.Result, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("not a reply to %T: %v", o, e)
		}
	}()
	res = op.Result{Found: !r.Nil(), Done: !r.Nil()}
	switch o := o.(type) {
	case *op.Get:
		if res.Found {
			res.Value, res.Rev, res.TS = []byte(r.Field("value").Text), uint64(r.Field("revision").Int), op.Timestamp(r.Field("timestamp").Int)
		}
	case *op.Set:
		res.Rev = check.RevUnknown
		if res.Done {
			res.Rev = uint64(r.Int)
		}
	case *op.Delete:
		res.Done, res.Rev = r.Int == 1, check.RevUnknown
	case *op.Incr, *op.LockAcquire, *op.LockExtend:
		res.Int = r.Int
	case *op.LockRelease:
		res.Done = r.Int == 1
	case *op.LockInfo:
		if res.Found {
			res.Lock = &op.LockState{}
			for _, h := range r.Field("holders").Parts {
				res.Lock.Holds = append(res.Lock.Holds, op.Hold{Owner: []byte(h.Field("owner").Text), Token: op.Timestamp(h.Field("token").Int)})
			}
		}
	case *op.SeqNext:
		res.Int, res.Last, res.Step = r.Parts[0].Int, r.Parts[1].Int, r.Parts[2].Int
	case *op.SeqGet:
		if res.Found {
			res.Seq = &op.SeqState{Last: r.Field("last").Int, Started: !r.Field("last").Nil()}
		}
	case *op.History:
		for _, v := range r.Parts {
			it := op.Item{Key: o.Key, Rev: uint64(v.Parts[0].Int), TS: op.Timestamp(v.Parts[1].Int), Deleted: v.Parts[2].Nil(), Value: []byte(v.Parts[2].Text)}
			if it.Deleted {
				it.Value = nil
			}
			res.Items = append(res.Items, it)
		}
	}
	return res, nil
}
