package script

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openLibraries builds the world of a script.
func (m *machine) openLibraries() {
	l := m.l
	globals := l.G.Global
	m.fill(globals, map[string]lua.LGFunction{
		"assert": baseAssert, "collectgarbage": baseCollect, "error": baseError, "gcinfo": baseCollect, "getmetatable": baseGetMetatable,
		"load": m.baseLoad, "loadstring": m.baseLoadString, "next": baseNext, "pcall": m.basePCall, "rawequal": baseRawEqual,
		"rawget": baseRawGet, "rawset": m.baseRawSet, "select": baseSelect, "setmetatable": m.baseSetMetatable, "tonumber": m.baseToNumber,
		"tostring": m.baseToString, "type": baseType, "unpack": m.baseUnpack, "xpcall": m.baseXPCall, concatName: m.concat,
		"ipairs": m.baseIpairs(), "pairs": m.basePairs(),
	})
	globals.RawSetString("_G", globals)
	globals.RawSetString("_VERSION", lua.LString("Lua 5.1"))
	m.protectTable(globals)
	meta := l.NewTable()
	meta.RawSetString("__index", l.NewFunction(func(l *lua.LState) int {
		name, _ := text(l.Get(2))
		l.RaiseError("Script attempted to access nonexistent global variable '%s'", name)
		return 0
	}))
	globals.Metatable = meta
	m.protectTable(meta)
	for name, functions := range map[string]map[string]lua.LGFunction{
		"string": m.stringFunctions(), "table": m.tableFunctions(), "math": m.mathFunctions(), "bit": bitFunctions,
		"redis": m.redisFunctions(), "cjson": m.jsonFunctions(), "coroutine": m.coroutineFunctions(),
		"cmsgpack": m.msgpackFunctions(), "struct": m.structFunctions(),
	} {
		globals.RawSetString(name, m.library(functions))
	}
	m.addConstants()
	strings := l.NewTable()
	strings.RawSetString("__index", globals.RawGetString("string"))
	l.SetMetatable(lua.LString(""), strings)
	m.protectTable(strings)
}

func (m *machine) protectTable(t *lua.LTable) { m.shared[t] = true }

func (m *machine) library(functions map[string]lua.LGFunction) *lua.LTable {
	t := m.l.NewTable()
	m.fill(t, functions)
	m.protectTable(t)
	return t
}

func (m *machine) fill(t *lua.LTable, functions map[string]lua.LGFunction) {
	for name, f := range functions {
		t.RawSetString(name, m.l.NewFunction(f))
	}
}

// addConstants puts into the libraries what is no function.
func (m *machine) addConstants() {
	field := func(library string) *lua.LTable { return m.l.G.Global.RawGetString(library).(*lua.LTable) }
	field("math").RawSetString("pi", lua.LNumber(math.Pi))
	field("math").RawSetString("huge", lua.LNumber(math.Inf(1)))
	null := m.l.NewUserData()
	field("cjson").RawSetString("null", null)
	m.addRedisConstants(field("redis"))
}

func baseAssert(l *lua.LState) int {
	if l.ToBool(1) {
		return l.GetTop()
	}
	l.CheckAny(1)
	message := "assertion failed!"
	if l.Get(2) != lua.LNil {
		message = checkText(l, 2)
	}
	l.RaiseError("%s", message)
	return 0
}

// baseCollect stands for collectgarbage and gcinfo, as the server decides when to collect.
func baseCollect(l *lua.LState) int {
	l.Push(lua.LNumber(0))
	return 1
}

func baseError(l *lua.LState) int {
	level := l.OptInt(2, 1)
	v := l.Get(1)
	if n, ok := v.(lua.LNumber); ok {
		s, _ := text(n)
		v = lua.LString(s)
	}
	l.Error(v, level)
	return 0
}

func baseGetMetatable(l *lua.LState) int {
	mt := l.GetMetatable(l.CheckAny(1))
	if t, ok := mt.(*lua.LTable); ok {
		if guard := t.RawGetString("__metatable"); guard != lua.LNil {
			mt = guard
		}
	}
	l.Push(mt)
	return 1
}

func (m *machine) baseSetMetatable(l *lua.LState) int {
	t, mt := l.CheckTable(1), l.Get(2)
	if mt != lua.LNil && mt.Type() != lua.LTTable || l.GetTop() < 2 {
		l.RaiseError("bad argument #2 to 'setmetatable' (nil or table expected)")
	}
	m.writable(l, t)
	if old, ok := t.Metatable.(*lua.LTable); ok && old.RawGetString("__metatable") != lua.LNil {
		l.RaiseError("cannot change a protected metatable")
	}
	t.Metatable = mt
	l.SetTop(1)
	return 1
}

func baseNext(l *lua.LState) int {
	key, value := l.CheckTable(1).Next(l.Get(2))
	l.Push(key)
	if key == lua.LNil {
		return 1
	}
	l.Push(value)
	return 2
}

func (m *machine) basePairs() lua.LGFunction {
	next := m.l.NewFunction(baseNext)
	return func(l *lua.LState) int {
		t := l.CheckTable(1)
		l.Push(next)
		l.Push(t)
		l.Push(lua.LNil)
		return 3
	}
}

func (m *machine) baseIpairs() lua.LGFunction {
	next := m.l.NewFunction(func(l *lua.LState) int {
		i := l.CheckInt(2) + 1
		v := l.RawGetInt(l.CheckTable(1), i)
		if v == lua.LNil {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(i))
		l.Push(v)
		return 2
	})
	return func(l *lua.LState) int {
		t := l.CheckTable(1)
		l.Push(next)
		l.Push(t)
		l.Push(lua.LNumber(0))
		return 3
	}
}

func baseRawEqual(l *lua.LState) int {
	l.Push(lua.LBool(l.RawEqual(l.CheckAny(1), l.CheckAny(2))))
	return 1
}

func baseRawGet(l *lua.LState) int {
	l.Push(l.RawGet(l.CheckTable(1), l.CheckAny(2)))
	return 1
}

func (m *machine) baseRawSet(l *lua.LState) int {
	t, key, value := l.CheckTable(1), l.CheckAny(2), l.CheckAny(3)
	m.writable(l, t)
	if t.RawGet(key) == lua.LNil {
		m.grow(l, t, key)
	}
	l.RawSet(t, key, value)
	l.SetTop(1)
	return 1
}

func baseSelect(l *lua.LState) int {
	top := l.GetTop()
	if s, ok := l.Get(1).(lua.LString); ok && s == "#" {
		l.Push(lua.LNumber(top - 1))
		return 1
	}
	i := l.CheckInt(1)
	switch {
	case i < 0:
		i += top
	case i > top:
		i = top
	}
	if i < 1 {
		l.ArgError(1, "index out of range")
	}
	return top - i
}

func baseType(l *lua.LState) int {
	l.Push(lua.LString(l.CheckAny(1).Type().String()))
	return 1
}

func (m *machine) baseToString(l *lua.LState) int {
	m.charge(l, stringBytes)
	v := l.CheckAny(1)
	if n, ok := v.(lua.LNumber); ok {
		s, _ := text(n)
		l.Push(lua.LString(s))
		return 1
	}
	if f, ok := l.GetMetaField(v, "__tostring").(*lua.LFunction); ok {
		l.Push(f)
		l.Push(v)
		l.Call(1, 1)
		return 1
	}
	l.Push(lua.LString(v.String()))
	return 1
}

func (m *machine) baseToNumber(l *lua.LState) int {
	v, base := l.CheckAny(1), l.OptInt(2, 10)
	if base == 10 {
		l.Push(toNumber(v))
		return 1
	}
	if base < 2 || base > 36 {
		l.ArgError(2, "base out of range")
	}
	s, ok := text(v)
	if s = strings.Trim(s, spaces); base == 16 {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	}
	n, err := strconv.ParseUint(s, base, 64)
	if !ok || err != nil {
		l.Push(lua.LNil)
		return 1
	}
	l.Push(lua.LNumber(n))
	return 1
}

const spaces = " \t\n\v\f\r"

// toNumber reads a number as strtod of C does; nil when it is none.
func toNumber(v lua.LValue) lua.LValue {
	switch v := v.(type) {
	case lua.LNumber:
		return v
	case lua.LString:
		s := strings.Trim(string(v), spaces)
		if len(s) > 400 || strings.ContainsRune(s, '_') {
			return lua.LNil
		}
		n, err := strconv.ParseFloat(s, 64)
		if err == nil || n != 0 && math.IsInf(n, 0) {
			return lua.LNumber(n)
		}
		sign := 1.0
		if strings.HasPrefix(s, "-") {
			sign, s = -1, s[1:]
		}
		if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
			if u, err := strconv.ParseUint(s[2:], 16, 64); err == nil {
				return lua.LNumber(sign * float64(u))
			}
		}
	}
	return lua.LNil
}

func (m *machine) baseUnpack(l *lua.LState) int {
	t := l.CheckTable(1)
	from := l.OptInt(2, 1)
	var to int
	if l.Get(3) == lua.LNil {
		to = t.Len()
	} else {
		to = l.CheckInt(3)
	}
	if from > to {
		return 0
	}
	n := to - from + 1
	if n <= 0 || n >= resultsMax {
		l.RaiseError("too many results to unpack")
	}
	m.step(l, n)
	for i := from; i <= to; i++ {
		l.Push(l.RawGetInt(t, i))
	}
	return n
}

// concat is the operator "..".
func (m *machine) concat(l *lua.LState) int {
	n := l.GetTop()
	size := 0
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			size += len(v)
		case lua.LNumber:
			size += 24
		default:
			return m.concatMeta(l, n)
		}
	}
	m.charge(l, size+stringBytes)
	m.step(l, size/64)
	buf := make([]byte, 0, size)
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			buf = append(buf, v...)
		case lua.LNumber:
			buf = appendNumber(buf, float64(v), luaDigits)
		}
	}
	l.Push(lua.LString(buf))
	return 1
}

// concatMeta goes pair by pair from the right, with the metamethods of what is neither string nor number.
func (m *machine) concatMeta(l *lua.LState, n int) int {
	right := l.Get(n)
	for i := n - 1; i > 0; i-- {
		right = m.concatPair(l, l.Get(i), right)
	}
	l.Push(right)
	return 1
}

func (m *machine) concatPair(l *lua.LState, left, right lua.LValue) lua.LValue {
	a, ok1 := text(left)
	b, ok2 := text(right)
	if ok1 && ok2 {
		m.charge(l, len(a)+len(b)+stringBytes)
		return lua.LString(a + b)
	}
	f := l.GetMetaField(left, "__concat")
	if f == lua.LNil {
		f = l.GetMetaField(right, "__concat")
	}
	if f == lua.LNil {
		if ok1 {
			left = right
		}
		l.RaiseError("attempt to concatenate a %s value", left.Type().String())
	}
	l.Push(f)
	l.Push(left)
	l.Push(right)
	l.Call(2, 1)
	v := l.Get(-1)
	l.Pop(1)
	return v
}
