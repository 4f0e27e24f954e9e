package hashes

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kahuna/keys"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

func TestScripts(t *testing.T) {
	viewtest.Script{Run: runCommand, Show: showStored}.Files(t, "testdata/scripts")
}

// runCommand runs one command of a script:
//
//	hset KEY [nx] [max N] FIELD VALUE ...
//	hdel KEY FIELD ...
//	hincr KEY FIELD N [max N], hincrfloat KEY FIELD F [max N]
//	hget KEY [whole] [max N] FIELD ...
//	set KEY VALUE, expire KEY MS, look KEY
func runCommand(v *viewtest.View, words []string) (string, error) {
	o := parse(viewtest.NewArgs(words))
	res, handled, err := Run(v, o)
	if !handled {
		res, handled, err = keys.Run(v, o)
	}
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
	case "hset":
		o := &op.HashSet{Key: a.Bytes(), IfNone: a.Is("nx"), MaxBytes: maxBytes(a)}
		for a.More() {
			o.Fields = append(o.Fields, op.Field{Name: a.Bytes(), Value: a.Bytes()})
		}
		return o
	case "hdel":
		o := &op.HashDelete{Key: a.Bytes()}
		for a.More() {
			o.Fields = append(o.Fields, a.Bytes())
		}
		return o
	case "hincr":
		return &op.HashIncr{Key: a.Bytes(), Field: a.Bytes(), Delta: a.Int(), MaxBytes: maxBytes(a)}
	case "hincrfloat":
		o := &op.HashIncrFloat{Key: a.Bytes(), Field: a.Bytes()}
		o.Delta, _ = strconv.ParseFloat(a.Word(), 64)
		o.MaxBytes = maxBytes(a)
		return o
	case "hget":
		o := &op.HashGet{Key: a.Bytes(), Whole: a.Is("whole"), MaxBytes: maxBytes(a)}
		for a.More() {
			o.Fields = append(o.Fields, a.Bytes())
		}
		return o
	case "set":
		return &op.Set{Key: a.Bytes(), Value: a.Bytes()}
	case "expire":
		return &op.Expire{Key: a.Bytes(), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: a.Int()}}
	case "look":
		return &op.Look{Key: a.Bytes(), Values: true}
	default:
		panic("no command " + name)
	}
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
	parts = append(parts, fmt.Sprint("int ", r.Int))
	for _, it := range r.Items {
		if it.Deleted {
			parts = append(parts, "none")
		} else {
			parts = append(parts, strconv.Quote(string(it.Value)))
		}
	}
	if r.Value != nil {
		parts = append(parts, strconv.Quote(showHash(r.Value)))
	}
	if r.Rev != 0 {
		parts = append(parts, fmt.Sprint("rev ", r.Rev))
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

func showStored(_ op.Name, value []byte) string { return strconv.Quote(showHash(value)) }

// showHash writes a stored hash for a reader, and anything else as it is.
func showHash(b []byte) string {
	var parts []string
	r := Read(b)
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		parts = append(parts, string(name)+"="+string(value))
	}
	if r.Err() != nil {
		return string(b)
	}
	return strings.Join(parts, " ")
}
