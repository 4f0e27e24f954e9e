package script

import (
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func (m *machine) stringFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"byte": m.strByte, "char": m.strChar, "find": m.strFind(true), "format": m.strFormat, "gmatch": m.strGmatch, "gfind": m.strGmatch,
		"gsub": m.strGsub, "len": strLen, "lower": m.strMap(lowerByte), "match": m.strFind(false), "rep": m.strRep,
		"reverse": m.strReverse, "sub": m.strSub, "upper": m.strMap(upperByte),
		"dump": func(l *lua.LState) int {
			l.RaiseError("unable to dump given function")
			return 0
		},
	}
}

// checkText is an argument that is a string, or a number made one.
func checkText(l *lua.LState, i int) string {
	s, ok := text(l.Get(i))
	if !ok {
		typeError(l, i, lua.LTString)
	}
	return s
}

// push gives a new string back. Its text must have been charged for.
func push(l *lua.LState, s string) int {
	l.Push(lua.LString(s))
	return 1
}

func strLen(l *lua.LState) int {
	l.Push(lua.LNumber(len(checkText(l, 1))))
	return 1
}

// span is the part of a string from i to j, counted from 1 or, negative, from the end, as a slice has it.
func span(n, i, j int) (from, to int) {
	if i < 0 {
		i = max(i+n+1, 1)
	}
	if j < 0 {
		j += n + 1
	}
	i, j = max(i, 1), min(j, n)
	if i > j {
		return 0, 0
	}
	return i - 1, j
}

func (m *machine) strSub(l *lua.LState) int {
	s := checkText(l, 1)
	from, to := span(len(s), checkInt(l, 2), optInt(l, 3, -1))
	m.charge(l, stringBytes)
	return push(l, s[from:to])
}

func (m *machine) strByte(l *lua.LState) int {
	s := checkText(l, 1)
	i := optInt(l, 2, 1)
	from, to := span(len(s), i, optInt(l, 3, i))
	if to-from >= resultsMax {
		l.RaiseError("string slice too long")
	}
	n := to - from
	m.step(l, n)
	for ; from < to; from++ {
		l.Push(lua.LNumber(s[from]))
	}
	return n
}

func (m *machine) strChar(l *lua.LState) int {
	b := make([]byte, l.GetTop())
	m.charge(l, len(b)+stringBytes)
	for i := range b {
		c := checkInt(l, i+1)
		if c != int(byte(c)) {
			l.ArgError(i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	return push(l, string(b))
}

// strMap is for functions that replace each byte.
func (m *machine) strMap(f func(byte) byte) lua.LGFunction {
	return func(l *lua.LState) int {
		s := checkText(l, 1)
		m.charge(l, len(s)+stringBytes)
		m.step(l, len(s)/16)
		b := []byte(s)
		for i := range b {
			b[i] = f(b[i])
		}
		return push(l, string(b))
	}
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func upperByte(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

func (m *machine) strReverse(l *lua.LState) int {
	s := checkText(l, 1)
	m.charge(l, len(s)+stringBytes)
	m.step(l, len(s)/16)
	b := []byte(s)
	slices.Reverse(b)
	return push(l, string(b))
}

func (m *machine) strRep(l *lua.LState) int {
	s, n := checkText(l, 1), checkInt(l, 2)
	if n <= 0 || s == "" {
		return push(l, "")
	}
	size := len(s) * n
	if size/n != len(s) {
		size = -1 // more than there is
	}
	m.charge(l, size)
	m.step(l, size/64)
	return push(l, strings.Repeat(s, n))
}

// special are the characters that make a string a pattern.
const special = "^$*+?.([%-"

// strFind is find, which tells where, and match, which does not.
func (m *machine) strFind(find bool) lua.LGFunction {
	return func(l *lua.LState) int {
		s, p := checkText(l, 1), checkText(l, 2)
		from := optInt(l, 3, 1)
		if from < 0 {
			from = max(from+len(s)+1, 1)
		}
		from = min(max(from-1, 0), len(s))
		if find && (l.ToBool(4) || !strings.ContainsAny(p, special)) {
			m.step(l, len(s)/64)
			at := strings.Index(s[from:], p)
			if at < 0 {
				l.Push(lua.LNil)
				return 1
			}
			l.Push(lua.LNumber(from + at + 1))
			l.Push(lua.LNumber(from + at + len(p)))
			return 2
		}
		g := &matcher{m: m, l: l, s: s, p: p}
		start, end := g.search(from)
		if end == noMatch {
			l.Push(lua.LNil)
			return 1
		}
		if !find {
			return g.push(start, end, true)
		}
		l.Push(lua.LNumber(start + 1))
		l.Push(lua.LNumber(end))
		return 2 + g.push(start, end, false)
	}
}

// search finds the first match at or behind a place.
func (g *matcher) search(from int) (start, end int) {
	pi := 0
	anchor := strings.HasPrefix(g.p, "^")
	if anchor {
		pi = 1
	}
	for ; from <= len(g.s); from++ {
		g.restart()
		if end := g.match(from, pi); end != noMatch {
			return from, end
		}
		if anchor {
			break
		}
	}
	return 0, noMatch
}

// strGmatch gives an iterator. In Lua 5.1 a ^ in its pattern is no anchor.
func (m *machine) strGmatch(l *lua.LState) int {
	s, p := checkText(l, 1), checkText(l, 2)
	from := 0
	m.charge(l, closureBytes)
	l.Push(l.NewFunction(func(l *lua.LState) int {
		g := &matcher{m: m, l: l, s: s, p: p}
		for ; from <= len(s); from++ {
			g.restart()
			end := g.match(from, 0)
			if end == noMatch {
				continue
			}
			start := from
			if from = end; end == start {
				from++
			}
			return g.push(start, end, true)
		}
		l.Push(lua.LNil)
		return 1
	}))
	return 1
}

func (m *machine) strGsub(l *lua.LState) int {
	s, p := checkText(l, 1), checkText(l, 2)
	with := l.Get(3)
	switch with.Type() {
	case lua.LTString, lua.LTNumber, lua.LTTable, lua.LTFunction:
	default:
		l.ArgError(3, "string/function/table expected")
	}
	left := optInt(l, 4, len(s)+1)
	g := &matcher{m: m, l: l, s: s, p: p}
	pi := 0
	anchor := strings.HasPrefix(p, "^")
	if anchor {
		pi = 1
	}
	var b []byte
	from, count := 0, 0
	for count < left {
		g.restart()
		end := g.match(from, pi)
		if end != noMatch {
			count++
			b = g.replace(b, from, end, with)
		}
		switch {
		case end != noMatch && end > from:
			from = end
		case from < len(s):
			b = g.append(b, s[from:from+1])
			from++
		default:
			from = len(s) + 1
		}
		if from > len(s) || anchor {
			break
		}
	}
	if from < len(s) {
		b = g.append(b, s[from:])
	}
	m.charge(l, len(b)+stringBytes)
	l.Push(lua.LString(b))
	l.Push(lua.LNumber(count))
	return 2
}

// append adds to a result that grows.
func (g *matcher) append(b []byte, s string) []byte {
	if len(b)+len(s) > cap(b) {
		g.m.charge(g.l, 2*(len(b)+len(s))+64)
		b = slices.Grow(b, len(b)+len(s)+64)
	}
	return append(b, s...)
}

// replace adds what a match is replaced with.
func (g *matcher) replace(b []byte, from, end int, with lua.LValue) []byte {
	var v lua.LValue
	switch with := with.(type) {
	case *lua.LTable:
		v = g.l.GetTable(with, g.captured(0, from, end))
	case *lua.LFunction:
		captures := *g // the function may match too
		g.l.Push(with)
		n := captures.push(from, end, true)
		g.l.Call(n, 1)
		v = g.l.Get(-1)
		g.l.Pop(1)
	default:
		s, _ := text(with)
		return g.template(b, from, end, s)
	}
	if lua.LVIsFalse(v) {
		return g.append(b, g.s[from:end])
	}
	s, ok := text(v)
	if !ok {
		g.l.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
	return g.append(b, s)
}

// template adds a replacement string, in which %1 stands for a capture and %0 for the match.
func (g *matcher) template(b []byte, from, end int, s string) []byte {
	for {
		plain, rest, found := strings.Cut(s, "%")
		b = g.append(b, plain)
		if !found {
			return b
		}
		if rest == "" {
			return g.append(b, "\x00")
		}
		switch c := rest[0]; {
		case c == '0':
			b = g.append(b, g.s[from:end])
		case isDigit(c):
			t, _ := text(g.captured(int(c-'1'), from, end))
			b = g.append(b, t)
		default:
			b = g.append(b, rest[:1])
		}
		s = rest[1:]
		g.m.step(g.l, 1)
	}
}
