package script

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// Bounds and defaults of the library cjson, which is lua-cjson's with Redis's settings.
const (
	jsonDepthMax    = 1000
	jsonSparseRatio = 2
	jsonSparseSafe  = 10
)

func (m *machine) jsonFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{"encode": m.jsonEncode, "decode": m.jsonDecode}
}

func (m *machine) jsonNull() lua.LValue {
	return m.l.G.Global.RawGetString("cjson").(*lua.LTable).RawGetString("null")
}

func (m *machine) jsonEncode(l *lua.LState) int {
	if l.GetTop() != 1 {
		l.ArgError(1, "expected 1 argument")
	}
	e := &jsonEncoder{matcher{m: m, l: l}, nil, m.jsonNull()}
	e.value(l.Get(1), 0)
	m.charge(l, len(e.b)+stringBytes)
	return push(l, string(e.b))
}

type jsonEncoder struct {
	matcher // for append, which measures
	b       []byte
	null    lua.LValue
}

func (e *jsonEncoder) add(s string) { e.b = e.append(e.b, s) }

func (e *jsonEncoder) value(v lua.LValue, depth int) {
	e.m.step(e.l, 1)
	switch v := v.(type) {
	case lua.LString:
		e.string(string(v))
	case lua.LNumber:
		e.number(float64(v))
	case lua.LBool:
		e.add(strconv.FormatBool(bool(v)))
	case *lua.LTable:
		if depth++; depth > jsonDepthMax {
			e.fail("Cannot serialise, excessive nesting (" + strconv.Itoa(depth) + ")")
		}
		if n := e.arrayLength(v); n > 0 {
			e.array(v, n, depth)
		} else {
			e.object(v, depth)
		}
	default:
		if v != lua.LNil && v != e.null {
			e.fail("Cannot serialise " + v.Type().String() + ": type not supported")
		}
		e.add("null")
	}
}

// arrayLength is that of a table whose keys are all positive integers; 0 when it is none, or empty.
func (e *jsonEncoder) arrayLength(t *lua.LTable) int {
	most, items := 0, 0
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		e.m.step(e.l, 1)
		n, ok := k.(lua.LNumber)
		if !ok || n < 1 || n > 1<<52 || n != lua.LNumber(int(n)) {
			return 0
		}
		most, items = max(most, int(n)), items+1
	}
	if most > jsonSparseSafe && most > items*jsonSparseRatio {
		e.fail("Cannot serialise table: excessively sparse array")
	}
	return most
}

func (e *jsonEncoder) array(t *lua.LTable, n, depth int) {
	e.add("[")
	for i := 1; i <= n; i++ {
		if i > 1 {
			e.add(",")
		}
		e.value(t.RawGet(lua.LNumber(i)), depth)
	}
	e.add("]")
}

func (e *jsonEncoder) object(t *lua.LTable, depth int) {
	e.add("{")
	first := true
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if !first {
			e.add(",")
		}
		first = false
		switch k := k.(type) {
		case lua.LString:
			e.string(string(k))
		case lua.LNumber:
			e.add(`"`)
			e.number(float64(k))
			e.add(`"`)
		default:
			e.fail("Cannot serialise " + k.Type().String() + ": table key must be a number or string")
		}
		e.add(":")
		e.value(v, depth)
	}
	e.add("}")
}

func (e *jsonEncoder) number(n float64) {
	if math.IsInf(n, 0) || math.IsNaN(n) {
		e.fail("Cannot serialise number: must not be NaN or Inf")
	}
	e.add(string(appendNumber(nil, n, luaDigits)))
}

// jsonEscapes are written so; other control characters as \u00xx.
var jsonEscapes = map[byte]string{'"': `\"`, '\\': `\\`, '/': `\/`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`, 0x7f: `\u007f`}

func (e *jsonEncoder) string(s string) {
	e.add(`"`)
	from := 0
	for i := range len(s) {
		c := s[i]
		escaped, ok := jsonEscapes[c]
		if !ok && c >= ' ' {
			continue
		}
		if !ok {
			escaped = `\u00` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
		}
		e.add(s[from:i])
		e.add(escaped)
		from = i + 1
	}
	e.add(s[from:])
	e.add(`"`)
}

func (m *machine) jsonDecode(l *lua.LState) int {
	if l.GetTop() != 1 {
		l.ArgError(1, "expected 1 argument")
	}
	s := checkText(l, 1)
	if len(s) >= 2 && (s[0] == 0 || s[1] == 0) {
		l.RaiseError("JSON parser does not support UTF-16 or UTF-32")
	}
	d := &jsonDecoder{m: m, l: l, s: s, null: m.jsonNull()}
	v := d.value(0)
	if d.space(); d.at < len(s) {
		d.unexpected("the end")
	}
	l.Push(v)
	return 1
}

type jsonDecoder struct {
	m    *machine
	l    *lua.LState
	s    string
	at   int
	null lua.LValue
}

func (d *jsonDecoder) space() {
	for d.at < len(d.s) && strings.IndexByte(" \t\n\r", d.s[d.at]) >= 0 {
		d.at++
	}
}

// unexpected raises the error for what is at the current place.
func (d *jsonDecoder) unexpected(expected string) {
	found := "invalid token"
	d.space()
	if d.at >= len(d.s) {
		found = "T_END"
	} else if token, ok := jsonTokens[d.s[d.at]]; ok {
		found = token
	} else if c := d.s[d.at]; c == '-' || isDigit(c) {
		found = "T_NUMBER"
	}
	d.l.RaiseError("Expected %s but found %s at character %d", expected, found, d.at+1)
}

var jsonTokens = map[byte]string{'{': "T_OBJ_BEGIN", '}': "T_OBJ_END", '[': "T_ARR_BEGIN", ']': "T_ARR_END", ',': "T_COMMA", ':': "T_COLON", '"': "T_STRING"}

// take passes a character if it comes next.
func (d *jsonDecoder) take(c byte) bool {
	if d.space(); d.at < len(d.s) && d.s[d.at] == c {
		d.at++
		return true
	}
	return false
}

func (d *jsonDecoder) value(depth int) lua.LValue {
	d.m.step(d.l, 1)
	d.space()
	if depth > jsonDepthMax {
		d.l.RaiseError("Found too many nested data structures (%d)", depth)
	}
	switch {
	case d.take('{'):
		return d.object(depth)
	case d.take('['):
		return d.array(depth)
	case d.take('"'):
		return lua.LString(d.string())
	}
	for _, w := range []struct {
		word  string
		value lua.LValue
	}{{"true", lua.LTrue}, {"false", lua.LFalse}, {"null", d.null}} {
		if strings.HasPrefix(d.s[d.at:], w.word) {
			d.at += len(w.word)
			return w.value
		}
	}
	return d.number()
}

// number reads what strtod reads: cjson takes hexadecimal numbers, infinities and NaN too.
func (d *jsonDecoder) number() lua.LValue {
	end := d.at
	for end < len(d.s) && strings.IndexByte(" \t\n\r,]}:", d.s[end]) < 0 && end-d.at < 400 {
		end++
	}
	word := d.s[d.at:end]
	n, ok := toNumber(lua.LString(word)).(lua.LNumber)
	if !ok || word == "" || word[0] == '+' || word[0] == '.' {
		d.unexpected("value")
	}
	d.at = end
	return n
}

func (d *jsonDecoder) array(depth int) lua.LValue {
	d.m.charge(d.l, tableBytes)
	t := &lua.LTable{Metatable: lua.LNil}
	if d.take(']') {
		return t
	}
	for i := 1; ; i++ {
		v := d.value(depth + 1)
		d.m.charge(d.l, 2*valueBytes)
		t.RawSetInt(i, v)
		if d.take(']') {
			return t
		}
		if !d.take(',') {
			d.unexpected("comma or array end")
		}
	}
}

func (d *jsonDecoder) object(depth int) lua.LValue {
	d.m.charge(d.l, tableBytes)
	t := &lua.LTable{Metatable: lua.LNil}
	if d.take('}') {
		return t
	}
	for {
		if !d.take('"') {
			d.unexpected("object key string")
		}
		key := d.string()
		if !d.take(':') {
			d.unexpected("colon")
		}
		d.m.charge(d.l, fieldBytes)
		t.RawSetString(key, d.value(depth+1))
		if d.take('}') {
			return t
		}
		if !d.take(',') {
			d.unexpected("comma or object end")
		}
	}
}

// string reads to the closing quote.
func (d *jsonDecoder) string() string {
	end := strings.IndexAny(d.s[d.at:], `"\`)
	if end >= 0 && d.s[d.at+end] == '"' {
		s := d.s[d.at : d.at+end]
		d.m.charge(d.l, stringBytes)
		d.m.step(d.l, end/64)
		d.at += end + 1
		return s
	}
	g := &matcher{m: d.m, l: d.l}
	var b []byte
	for {
		end := strings.IndexAny(d.s[d.at:], `"\`)
		if end < 0 {
			d.at = len(d.s)
			d.l.RaiseError("Expected value but found unexpected end of string at character %d", len(d.s)+1)
		}
		b = g.append(b, d.s[d.at:d.at+end])
		d.at += end + 1
		if d.s[d.at-1] == '"' {
			return string(b)
		}
		b = g.append(b, d.escape())
	}
}

// escape reads what is behind a backslash.
func (d *jsonDecoder) escape() string {
	d.m.step(d.l, 1)
	backslash := d.at // counted from 1
	if d.at < len(d.s) {
		c := d.s[d.at]
		d.at++
		if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
			return "\"\\/\b\f\n\r\t"[i : i+1]
		}
		if c == 'u' {
			if r := d.unicode(); r >= 0 {
				return string(r)
			}
			d.l.RaiseError("Expected value but found invalid unicode escape code at character %d", backslash)
		}
	}
	d.l.RaiseError("Expected value but found invalid escape code at character %d", backslash)
	return ""
}

// unicode reads the digits of one character, which may be two halves; -1 when they are none.
func (d *jsonDecoder) unicode() rune {
	r := d.hex4()
	if !utf16.IsSurrogate(r) {
		return r
	}
	if !strings.HasPrefix(d.s[d.at:], `\u`) {
		return -1
	}
	d.at += 2
	if r = utf16.DecodeRune(r, d.hex4()); r == utf8.RuneError {
		return -1
	}
	return r
}

func (d *jsonDecoder) hex4() rune {
	if d.at+4 > len(d.s) {
		return -1
	}
	n, err := strconv.ParseUint(d.s[d.at:d.at+4], 16, 32)
	if err != nil {
		return -1
	}
	d.at += 4
	return rune(n)
}
