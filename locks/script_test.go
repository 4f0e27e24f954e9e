package locks

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
//	lock NAME OWNER TTL-MS [shared] [permits N]
//	renew NAME OWNER TTL-MS [shared] [permits N]
//	unlock NAME OWNER
//	extend NAME OWNER TTL-MS
//	break NAME OWNER|all
//	expire NAME OWNER GRANTED
//	info NAME
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
	case "lock", "renew":
		o := op.LockAcquire{Name: a.Bytes(), Owner: a.Bytes(), TTLMilli: a.Int(), Shared: a.Is("shared")}
		if a.Is("permits") {
			o.Permits = uint32(a.Int())
		}
		if name == "renew" {
			return &op.LockRenew{Name: o.Name, Owner: o.Owner, TTLMilli: o.TTLMilli, Shared: o.Shared, Permits: o.Permits}
		}
		return &o
	case "unlock":
		return &op.LockRelease{Name: a.Bytes(), Owner: a.Bytes()}
	case "extend":
		return &op.LockExtend{Name: a.Bytes(), Owner: a.Bytes(), TTLMilli: a.Int()}
	case "break":
		o := &op.LockBreak{Name: a.Bytes()}
		if o.AnyOwner = a.Is("all"); !o.AnyOwner {
			o.Owner = a.Bytes()
		}
		return o
	case "expire":
		o := &op.LockExpire{Name: a.Bytes(), Owner: a.Bytes()}
		at, err := viewtest.ParseTime(a.Word())
		if err != nil {
			panic(err)
		}
		o.Granted = at
		return o
	case "info":
		return &op.LockInfo{Name: a.Bytes()}
	default:
		panic("no command " + name)
	}
}

func show(command string, r op.Result) string {
	switch {
	case r.Status != op.OK:
		return statuses[r.Status]
	case r.Lock != nil:
		return showState(r.Lock)
	case command == "info":
		return "free"
	case !r.Done:
		return "no"
	case command == "lock" || command == "renew" || command == "extend":
		return "token " + viewtest.Time(op.Timestamp(r.Int))
	case command == "break":
		return fmt.Sprint("out ", r.Int)
	}
	return "done"
}

var statuses = map[op.Status]string{op.Mismatch: "mismatch", op.BadSettings: "bad settings", op.TooLarge: "too large"}

func showStored(_ op.Name, value []byte) string {
	s, err := Decode(mvcc.Record{Type: mvcc.TypeString, Value: value})
	if err != nil {
		return err.Error() + " " + strconv.Quote(string(value))
	}
	return showState(&s)
}

func showState(s *op.LockState) string {
	var b strings.Builder
	switch {
	case s.Shared:
		b.WriteString("shared")
	case s.Permits == 1:
		b.WriteString("exclusive")
	default:
		fmt.Fprintf(&b, "permits %d", s.Permits)
	}
	for _, h := range s.Holds {
		fmt.Fprintf(&b, ", %s token %s granted %s ttl %d", h.Owner, viewtest.Time(h.Token), viewtest.Time(h.Granted), h.TTLMilli)
	}
	return b.String()
}
