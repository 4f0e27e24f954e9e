package remote

import (
	"fmt"

	"kahuna/op"
	"kahuna/tests/e2e/wire"
	"kahuna/tests/sim/check"
)

// Command is an operation as a client asks for it.
func Command(o op.Op) []string {
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
		switch {
		case o.Shared:
			return text("LOCK", o.Name, o.Owner, o.TTLMilli, "SHARED")
		case o.Permits > 1:
			return text("LOCK", o.Name, o.Owner, o.TTLMilli, "PERMITS", o.Permits)
		}
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
