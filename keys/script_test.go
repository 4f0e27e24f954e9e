package keys

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

func TestScripts(t *testing.T) {
	viewtest.Script{Run: runCommand}.Files(t, "testdata")
}

// runCommand runs one command of a script:
//
//	set KEY VALUE [nx|xx|ifeq V|ifne V|ifrev N] [px MS|pxat UNIX-MS|keep] [norev] [old]
//	del KEY [ifeq V|ifrev N] [old]
//	expire KEY [px MS|pxat UNIX-MS|keep] [nx|xx|gt|lt]... [old]      without a time: persist
//	incr KEY N, incrfloat KEY F, append KEY VALUE [max N], setrange KEY OFFSET VALUE [max N], get KEY [rev N]
//	type KEY N                                                        writes a value of another type
//	put KEY TYPE VALUE [px MS|pxat UNIX-MS|keep] [nx] [norev], look KEY [values]
//
// Unix times are given relative to the epoch of timestamps.
func runCommand(v *viewtest.View, words []string) (string, error) {
	if words[0] == "type" {
		return writeType(v, words)
	}
	o := parse(viewtest.NewArgs(words))
	res, handled, err := Run(v, o)
	if err != nil {
		return "", err
	}
	if !handled {
		return "not handled", nil
	}
	return show(res), nil
}

func parse(a *viewtest.Args) op.Op {
	defer a.End()
	switch name := a.Word(); name {
	case "set":
		o := &op.Set{Key: a.Bytes(), Value: a.Bytes()}
		o.Cond, o.CondValue, o.CondRev = cond(a)
		o.Expiry = expiryOf(a)
		o.NoRev, o.WantOld = a.Is("norev"), a.Is("old")
		return o
	case "del":
		o := &op.Delete{Key: a.Bytes()}
		o.Cond, o.CondValue, o.CondRev = cond(a)
		o.WantOld = a.Is("old")
		return o
	case "expire":
		return &op.Expire{Key: a.Bytes(), Expiry: expiryOf(a), Conds: expireConds(a), WantOld: a.Is("old")}
	case "incr":
		return &op.Incr{Key: a.Bytes(), Delta: a.Int()}
	case "incrfloat":
		o := &op.IncrFloat{Key: a.Bytes()}
		o.Delta, _ = strconv.ParseFloat(a.Word(), 64)
		return o
	case "append":
		return &op.AppendTo{Key: a.Bytes(), Value: a.Bytes(), MaxBytes: maxBytes(a)}
	case "setrange":
		return &op.SetRange{Key: a.Bytes(), Offset: uint64(a.Int()), Value: a.Bytes(), MaxBytes: maxBytes(a)}
	case "get":
		o := &op.Get{Key: a.Bytes()}
		if a.Is("rev") {
			o.AtRev = uint64(a.Int())
		}
		return o
	case "put":
		o := &op.Put{Key: a.Bytes(), Type: byte(a.Int()), Value: a.Bytes(), Expiry: expiryOf(a)}
		o.IfNone, o.NoRev = a.Is("nx"), a.Is("norev")
		return o
	case "look":
		return &op.Look{Key: a.Bytes(), Values: a.Is("values")}
	default:
		panic("no command " + name)
	}
}

func cond(a *viewtest.Args) (c op.Cond, value []byte, rev uint64) {
	switch {
	case a.Is("nx"):
		return op.IfNone, nil, 0
	case a.Is("xx"):
		return op.IfAny, nil, 0
	case a.Is("ifeq"):
		return op.IfEqual, a.Bytes(), 0
	case a.Is("ifne"):
		return op.IfOther, a.Bytes(), 0
	case a.Is("ifrev"):
		return op.IfRev, nil, uint64(a.Int())
	}
	return op.Always, nil, 0
}

func expiryOf(a *viewtest.Args) op.Expiry {
	switch {
	case a.Is("px"):
		return op.Expiry{Mode: op.ExpiryIn, Milli: a.Int()}
	case a.Is("pxat"):
		return op.Expiry{Mode: op.ExpiryAt, Milli: op.EpochUnixMilli + a.Int()}
	case a.Is("keep"):
		return op.Expiry{Mode: op.ExpiryKeep}
	}
	return op.Expiry{}
}

func expireConds(a *viewtest.Args) (c op.ExpireCond) {
	for i, w := range []string{"nx", "xx", "gt", "lt"} {
		if a.Is(w) {
			c |= 1 << i
		}
	}
	return c
}

func maxBytes(a *viewtest.Args) uint64 {
	if a.Is("max") {
		return uint64(a.Int())
	}
	return 1 << 20
}

func show(r op.Result) string {
	if r.Status != op.OK {
		return statuses[r.Status]
	}
	parts := []string{"no"}
	if r.Done {
		parts[0] = "done"
	}
	if r.Found {
		parts = append(parts, "found")
	}
	if r.Value != nil {
		parts = append(parts, strconv.Quote(string(r.Value)))
	}
	if r.Int != 0 {
		parts = append(parts, fmt.Sprint("int ", r.Int))
	}
	if r.Rev != 0 {
		parts = append(parts, fmt.Sprint("rev ", r.Rev))
	}
	if r.TS != 0 {
		parts = append(parts, "at "+viewtest.Time(r.TS))
	}
	if r.ExpireAt != 0 {
		parts = append(parts, "until "+viewtest.Time(r.ExpireAt))
	}
	return strings.Join(parts, " ")
}

var statuses = map[op.Status]string{
	op.WrongType: "wrong type", op.NotInteger: "not an integer", op.NotFloat: "not a float", op.Overflow: "overflow",
	op.NotFinite: "not finite", op.TooLarge: "too large",
}
