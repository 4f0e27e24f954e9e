package script

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"kahuna/resp"
)

// depthReply is how deep a reply may nest.
const depthReply = 128

// converter turns a value of Lua to a reply, as Redis does.
type converter struct {
	m     *machine
	w     *resp.Writer
	start int
	depth int
}

var errReplyDepth = limitError("its reply nests too deep")

// write appends the reply for a value. A table may stand for many more values than it takes memory, so the reply is bounded.
func (c *converter) write(v lua.LValue) error {
	if limit := c.m.engine.limits.ReplyBytes; c.w.Len()-c.start > limit {
		return limitError("its reply is too large (limit %d bytes)", limit)
	}
	switch v := v.(type) {
	case lua.LString:
		c.w.BulkString(string(v))
	case lua.LNumber:
		c.w.Int(integer(float64(v)))
	case lua.LBool:
		c.bool(bool(v))
	case *lua.LTable:
		if c.depth++; c.depth > depthReply {
			return errReplyDepth
		}
		defer func() { c.depth-- }()
		return c.table(v)
	default:
		c.w.Null()
	}
	return nil
}

// bool is true as 1 and false as nil, unless the script has chosen RESP3.
func (c *converter) bool(v bool) {
	switch {
	case c.m.proto == resp.RESP3:
		c.w.Bool(v)
	case v:
		c.w.Int(1)
	default:
		c.w.Null()
	}
}

func (c *converter) table(t *lua.LTable) error {
	if s, ok := t.RawGetString("err").(lua.LString); ok {
		c.w.Error(string(s))
		return nil
	}
	if s, ok := t.RawGetString("ok").(lua.LString); ok {
		c.w.SimpleString(string(s))
		return nil
	}
	if n, ok := t.RawGetString("double").(lua.LNumber); ok {
		c.double(float64(n))
		return nil
	}
	if pairs, ok := t.RawGetString("map").(*lua.LTable); ok {
		return c.pairs(pairs, true)
	}
	if members, ok := t.RawGetString("set").(*lua.LTable); ok {
		return c.pairs(members, false)
	}
	if s, ok := t.RawGetString("big_number").(lua.LString); ok {
		c.bigNumber(string(s))
		return nil
	}
	if v, ok := t.RawGetString("verbatim_string").(*lua.LTable); ok {
		s, ok1 := text(v.RawGetString("string"))
		format, ok2 := text(v.RawGetString("format"))
		if ok1 && ok2 {
			c.w.Verbatim((format + "   ")[:3], s)
			return nil
		}
	}
	return c.array(t)
}

// array is the elements up to the first nil.
func (c *converter) array(t *lua.LTable) error {
	n := 0
	for t.RawGet(lua.LNumber(n+1)) != lua.LNil {
		n++
	}
	c.w.Array(n)
	for i := 1; i <= n; i++ {
		if err := c.write(t.RawGet(lua.LNumber(i))); err != nil {
			return err
		}
	}
	return nil
}

func (c *converter) pairs(t *lua.LTable, values bool) error {
	n := 0
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		n++
	}
	if values {
		c.w.Map(n)
	} else {
		c.w.Set(n)
	}
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if err := c.write(k); err != nil {
			return err
		}
		if !values {
			continue
		}
		if err := c.write(v); err != nil {
			return err
		}
	}
	return nil
}

// double has 17 digits in RESP2, as in Redis.
func (c *converter) double(n float64) {
	if c.w.Proto() == resp.RESP2 {
		c.w.Bulk(appendNumber(nil, n, argDigits))
		return
	}
	c.w.Double(n)
}

func (c *converter) bigNumber(s string) {
	n, ok := new(big.Int).SetString(s, 10)
	if len(s) > 10_000 || !ok {
		c.w.BulkString(s)
		return
	}
	c.w.BigNumber(n)
}

var errReplyForm = errors.New("script: the reply of a command is not well-formed")

// reader turns a reply to a value of Lua, as Redis does.
type reader struct {
	m *machine
	l *lua.LState
	b []byte
}

// value reads one reply.
func (r *reader) value() (lua.LValue, error) {
	at := bytes.IndexByte(r.b, '\n')
	if at < 2 {
		return nil, errReplyForm
	}
	kind, line := r.b[0], r.b[1:at-1]
	r.b = r.b[at+1:]
	switch kind {
	case '+':
		return r.single("ok", lua.LString(line)), nil
	case '-':
		return r.single("err", lua.LString(line)), nil
	case '_':
		return lua.LNil, nil
	case '#':
		return lua.LBool(line[0] == 't'), nil
	case ',':
		return r.single("double", lua.LNumber(parseDouble(string(line)))), nil
	case '(':
		return r.single("big_number", lua.LString(line)), nil
	}
	n, ok := number(line)
	if !ok {
		return nil, errReplyForm
	}
	switch kind {
	case ':':
		return lua.LNumber(n), nil
	case '$', '=':
		return r.bulk(kind, n)
	case '*', '~', '%':
		return r.many(kind, n)
	}
	return nil, errReplyForm
}

// number reads an integer without making garbage.
func number(b []byte) (n int64, ok bool) {
	if len(b) <= 18 {
		minus := len(b) > 0 && b[0] == '-'
		digits := b
		if minus {
			digits = b[1:]
		}
		for _, c := range digits {
			if !isDigit(c) {
				return 0, false
			}
			n = n*10 + int64(c-'0')
		}
		if minus {
			n = -n
		}
		return n, len(digits) > 0
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

func parseDouble(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

func (r *reader) single(name string, v lua.LValue) lua.LValue {
	t := &lua.LTable{Metatable: lua.LNil}
	t.RawSetString(name, v)
	return t
}

func (r *reader) bulk(kind byte, n int64) (lua.LValue, error) {
	if n < 0 {
		return lua.LFalse, nil
	}
	if int64(len(r.b)) < n+2 {
		return nil, errReplyForm
	}
	s := lua.LString(r.b[:n])
	r.b = r.b[n+2:]
	if kind == '$' || n < 4 {
		return s, nil
	}
	t := r.m.l.NewTable()
	t.RawSetString("format", s[:3])
	t.RawSetString("string", s[4:])
	return r.single("verbatim_string", t), nil
}

// many reads an array, or a set or a map as a table with the one field set or map.
func (r *reader) many(kind byte, n int64) (lua.LValue, error) {
	if n < 0 {
		return lua.LFalse, nil
	}
	r.m.charge(r.l, int(n)*2*valueBytes+tableBytes)
	if kind != '*' {
		r.m.charge(r.l, int(n)*fieldBytes)
	}
	t := &lua.LTable{Metatable: lua.LNil}
	for i := range n {
		k, err := r.value()
		if err != nil {
			return nil, err
		}
		v := lua.LValue(lua.LTrue)
		switch kind {
		case '*':
			t.RawSetInt(int(i)+1, k)
			continue
		case '%':
			if v, err = r.value(); err != nil {
				return nil, err
			}
		}
		if k != lua.LNil {
			t.RawSet(k, v)
		}
	}
	switch kind {
	case '~':
		return r.single("set", t), nil
	case '%':
		return r.single("map", t), nil
	}
	return t, nil
}
