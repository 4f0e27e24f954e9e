package script

import (
	"slices"

	lua "github.com/yuin/gopher-lua"
)

func (m *machine) tableFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"concat": m.tabConcat, "foreach": m.tabForeach, "foreachi": m.tabForeachi, "getn": m.tabGetn, "insert": m.tabInsert,
		"maxn": m.tabMaxn, "remove": m.tabRemove, "sort": m.tabSort,
	}
}

// length is that of a table, and the work to find it out.
func (m *machine) length(l *lua.LState, t *lua.LTable) int {
	n := t.Len()
	m.step(l, (arrayLen(t)-n)/8)
	return n
}

func (m *machine) tabGetn(l *lua.LState) int {
	l.Push(lua.LNumber(m.length(l, l.CheckTable(1))))
	return 1
}

func (m *machine) tabMaxn(l *lua.LState) int {
	most := 0.0
	t := l.CheckTable(1)
	m.step(l, arrayLen(t)/8)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		m.step(l, 1)
		if n, ok := k.(lua.LNumber); ok && v != lua.LNil {
			most = max(most, float64(n))
		}
	}
	l.Push(lua.LNumber(most))
	return 1
}

func (m *machine) tabInsert(l *lua.LState) int {
	t := l.CheckTable(1)
	m.writable(l, t)
	n := m.length(l, t) + 1
	at, value := n, l.Get(2)
	switch l.GetTop() {
	case 2:
	case 3:
		at, value = checkInt(l, 2), l.Get(3)
		n = max(n, at)
	default:
		l.RaiseError("wrong number of arguments to 'insert'")
	}
	if at < 1 || at > n || n-at >= arrayLen(t)+1 {
		m.put(l, t, at, value)
		return 0
	}
	m.step(l, (n-at)/4)
	m.grow(l, t, lua.LNumber(n))
	for i := n; i > at; i-- {
		t.RawSetInt(i, t.RawGetInt(i-1))
	}
	m.put(l, t, at, value)
	return 0
}

// put stores at an index that may be new.
func (m *machine) put(l *lua.LState, t *lua.LTable, at int, value lua.LValue) {
	key := lua.LNumber(at)
	if t.RawGet(key) == lua.LNil {
		m.grow(l, t, key)
	}
	t.RawSet(key, value)
}

func (m *machine) tabRemove(l *lua.LState) int {
	t := l.CheckTable(1)
	m.writable(l, t)
	n := m.length(l, t)
	at := optInt(l, 2, n)
	if at < 1 || at > n {
		return 0
	}
	m.step(l, (n-at)/4)
	value := t.RawGetInt(at)
	for ; at < n; at++ {
		t.RawSetInt(at, t.RawGetInt(at+1))
	}
	t.Remove(arrayLen(t)) // keeps the array as short as it is
	if t.RawGetInt(n) != lua.LNil {
		t.RawSetInt(n, lua.LNil)
	}
	l.Push(value)
	return 1
}

func (m *machine) tabConcat(l *lua.LState) int {
	t := l.CheckTable(1)
	separator := ""
	if l.Get(2) != lua.LNil {
		separator = checkText(l, 2)
	}
	from := optInt(l, 3, 1)
	to := optInt(l, 4, -1)
	if l.Get(4) == lua.LNil {
		to = m.length(l, t)
	}
	g := &matcher{m: m, l: l}
	var b []byte
	for i := from; i <= to; i++ {
		m.step(l, 1)
		s, ok := text(l.RawGetInt(t, i))
		if !ok {
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", l.RawGetInt(t, i).Type().String(), i)
		}
		b = g.append(b, s)
		if i < to {
			b = g.append(b, separator)
		}
	}
	m.charge(l, len(b)+stringBytes)
	return push(l, string(b))
}

// tabSort sorts a copy, as the function that compares may change the table.
func (m *machine) tabSort(l *lua.LState) int {
	t := l.CheckTable(1)
	m.writable(l, t)
	n := m.length(l, t)
	if l.Get(2) != lua.LNil {
		l.CheckFunction(2)
	}
	m.charge(l, valueBytes*n)
	all := make([]lua.LValue, n)
	for i := range all {
		all[i] = t.RawGetInt(i + 1)
	}
	slices.SortFunc(all, func(a, b lua.LValue) int {
		m.step(l, 1)
		switch {
		case m.less(l, a, b):
			return -1
		case m.less(l, b, a):
			return 1
		}
		return 0
	})
	for i, v := range all {
		m.put(l, t, i+1, v)
	}
	return 0
}

// less compares as the function that is the second argument says, else as the operator does.
func (m *machine) less(l *lua.LState, a, b lua.LValue) bool {
	f := l.Get(2)
	if f == lua.LNil {
		return l.LessThan(a, b)
	}
	l.Push(f)
	l.Push(a)
	l.Push(b)
	l.Call(2, 1)
	v := l.Get(-1)
	l.Pop(1)
	return lua.LVAsBool(v)
}

func (m *machine) tabForeach(l *lua.LState) int {
	t, f := l.CheckTable(1), l.CheckFunction(2)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if m.stops(l, f, k, v) {
			return 1
		}
	}
	return 0
}

func (m *machine) tabForeachi(l *lua.LState) int {
	t, f := l.CheckTable(1), l.CheckFunction(2)
	for i, n := 1, m.length(l, t); i <= n; i++ {
		if m.stops(l, f, lua.LNumber(i), t.RawGetInt(i)) {
			return 1
		}
	}
	return 0
}

// stops calls a function for a pair, and leaves what it returns on the stack if that is not nil.
func (m *machine) stops(l *lua.LState, f, k, v lua.LValue) bool {
	m.step(l, 1)
	l.Push(f)
	l.Push(k)
	l.Push(v)
	l.Call(2, 1)
	if l.Get(-1) != lua.LNil {
		return true
	}
	l.Pop(1)
	return false
}
