package script

import (
	"encoding/binary"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// The library cmsgpack is lua-cmsgpack's: MessagePack, with arrays and maps for tables. Numbers that are integers are written as
// such, others as float32 when nothing is lost. What has no form (functions, tables that nest deeper than packDepthMax) is nil.
const (
	packDepthMax   = 16
	unpackDepthMax = 1000
)

func (m *machine) msgpackFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"pack": m.msgpackPack, "unpack": m.msgpackUnpack, "unpack_one": m.msgpackUnpackOne, "unpack_limit": m.msgpackUnpackLimit,
	}
}

func (m *machine) msgpackPack(l *lua.LState) int {
	if l.GetTop() == 0 {
		l.ArgError(0, "MessagePack pack needs input.")
	}
	p := &packer{matcher{m: m, l: l}, nil}
	for i := 1; i <= l.GetTop(); i++ {
		p.value(l.Get(i), 0)
	}
	m.charge(l, len(p.b)+stringBytes)
	return push(l, string(p.b))
}

type packer struct {
	matcher // for append, which measures
	b       []byte
}

func (p *packer) add(s string) { p.b = p.append(p.b, s) }

// head adds a type byte and a number behind it in big endian order, of 1, 2, 4 or 8 bytes.
func (p *packer) head(kind byte, bytes int, n uint64) {
	var buf [9]byte
	binary.BigEndian.PutUint64(buf[1:], n<<(64-8*bytes))
	buf[0] = kind
	p.add(string(buf[:1+bytes]))
}

func (p *packer) value(v lua.LValue, depth int) {
	p.m.step(p.l, 1)
	switch v := v.(type) {
	case lua.LString:
		p.string(string(v))
	case lua.LNumber:
		p.number(float64(v))
	case lua.LBool:
		if v {
			p.add("\xc3")
		} else {
			p.add("\xc2")
		}
	case *lua.LTable:
		if depth == packDepthMax {
			p.add("\xc0")
			return
		}
		p.table(v, depth+1)
	default:
		p.add("\xc0")
	}
}

func (p *packer) string(s string) {
	switch n := uint64(len(s)); {
	case n < 32:
		p.add(string([]byte{0xa0 | byte(n)}))
	case n <= math.MaxUint8:
		p.head(0xd9, 1, n)
	case n <= math.MaxUint16:
		p.head(0xda, 2, n)
	default:
		p.head(0xdb, 4, n)
	}
	p.add(s)
}

func (p *packer) number(f float64) {
	switch n := int64(f); {
	case f >= -1<<63 && f < 1<<63 && float64(n) == f:
		p.integer(n)
	case float64(float32(f)) == f:
		p.head(0xca, 4, uint64(math.Float32bits(float32(f))))
	default:
		p.head(0xcb, 8, math.Float64bits(f))
	}
}

// integer writes the shortest form.
func (p *packer) integer(n int64) {
	switch {
	case n >= -32 && n <= math.MaxInt8:
		p.add(string([]byte{byte(n)}))
	case n >= 0:
		p.sized(uint64(n), [4]byte{0xcc, 0xcd, 0xce, 0xcf}, [3]bool{n <= math.MaxUint8, n <= math.MaxUint16, n <= math.MaxUint32})
	default:
		p.sized(uint64(n), [4]byte{0xd0, 0xd1, 0xd2, 0xd3}, [3]bool{n >= math.MinInt8, n >= math.MinInt16, n >= math.MinInt32})
	}
}

// sized writes a number in the first form that it fits: 1, 2, 4 or else 8 bytes.
func (p *packer) sized(n uint64, kinds [4]byte, fits [3]bool) {
	for i, ok := range fits {
		if ok {
			p.head(kinds[i], 1<<i, n)
			return
		}
	}
	p.head(kinds[3], 8, n)
}

// counted is the head of an array or a map.
func (p *packer) counted(n int, short, two, four byte) {
	switch {
	case n <= 15:
		p.add(string([]byte{short | byte(n)}))
	case n <= math.MaxUint16:
		p.head(two, 2, uint64(n))
	default:
		p.head(four, 4, uint64(n))
	}
}

func (p *packer) table(t *lua.LTable, depth int) {
	n, array := p.shape(t)
	if array {
		p.counted(n, 0x90, 0xdc, 0xdd)
		for i := 1; i <= n; i++ {
			p.value(t.RawGet(lua.LNumber(i)), depth)
		}
		return
	}
	p.counted(n, 0x80, 0xde, 0xdf)
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		p.value(k, depth)
		p.value(v, depth)
	}
}

// shape counts the keys of a table, and tells whether they are 1 to that number.
func (p *packer) shape(t *lua.LTable) (keys int, array bool) {
	most := 0.0
	array = true
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		p.m.step(p.l, 1)
		n, ok := k.(lua.LNumber)
		array = array && ok && n >= 1 && float64(n) == math.Trunc(float64(n))
		most = max(most, float64(n))
		keys++
	}
	return keys, array && most == float64(keys)
}

// msgpackUnpack gives everything that a string holds.
func (m *machine) msgpackUnpack(l *lua.LState) int { return m.unpackFrom(l, 0, 0, true) }

// msgpackUnpackOne gives the place of the next value (-1 for the end), and a value.
func (m *machine) msgpackUnpackOne(l *lua.LState) int {
	return m.unpackFrom(l, 1, optInt(l, 2, 0), false)
}

// msgpackUnpackLimit gives the place of the next value, and up to a number of values.
func (m *machine) msgpackUnpackLimit(l *lua.LState) int {
	return m.unpackFrom(l, checkInt(l, 2), optInt(l, 3, 0), false)
}

func (m *machine) unpackFrom(l *lua.LState, limit, offset int, all bool) int {
	s := checkText(l, 1)
	switch {
	case offset < 0 || limit < 0:
		l.RaiseError("Invalid request to unpack with offset of %d and limit of %d.", offset, len(s))
	case offset > len(s):
		l.RaiseError("Start offset %d greater than input length %d.", offset, len(s))
	}
	all = all || limit == 0 && offset == 0
	u := &unpacker{m: m, l: l, s: s, at: offset}
	var values []lua.LValue
	for u.at < len(s) && (all || len(values) < limit) {
		if len(values) >= resultsMax {
			l.RaiseError("too many results to unpack")
		}
		m.charge(l, 2*valueBytes)
		values = append(values, u.value(0))
	}
	results := len(values)
	if !all {
		results++
		next := -1
		if u.at < len(s) {
			next = u.at
		}
		l.Push(lua.LNumber(next))
	}
	for _, v := range values {
		l.Push(v)
	}
	return results
}

type unpacker struct {
	m  *machine
	l  *lua.LState
	s  string
	at int
}

// take passes n bytes.
func (u *unpacker) take(n uint64) string {
	if n > uint64(len(u.s)-u.at) {
		u.l.RaiseError("Missing bytes in input.")
	}
	t := u.s[u.at : u.at+int(n)]
	u.at += int(n)
	return t
}

// number takes an unsigned number of n bytes in big endian order.
func (u *unpacker) number(n uint64) (v uint64) {
	for _, c := range []byte(u.take(n)) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (u *unpacker) value(depth int) lua.LValue {
	u.m.step(u.l, 1)
	if depth > unpackDepthMax {
		u.l.RaiseError("stack overflow (in function mp_decode_to_lua_type)")
	}
	switch c := u.take(1)[0]; {
	case c <= 0x7f || c >= 0xe0:
		return lua.LNumber(int8(c))
	case c <= 0x8f:
		return u.mapOf(uint64(c&15), depth)
	case c <= 0x9f:
		return u.array(uint64(c&15), depth)
	case c <= 0xbf:
		return u.string(uint64(c & 31))
	case c == 0xc0:
		return lua.LNil
	case c == 0xc2 || c == 0xc3:
		return lua.LBool(c == 0xc3)
	case c == 0xca:
		return lua.LNumber(math.Float32frombits(uint32(u.number(4))))
	case c == 0xcb:
		return lua.LNumber(math.Float64frombits(u.number(8)))
	case c >= 0xcc && c <= 0xcf:
		return lua.LNumber(int64(u.number(1 << (c - 0xcc)))) // as there, those from 2^63 on are negative
	case c >= 0xd0 && c <= 0xd3:
		bytes := 1 << (c - 0xd0)
		return lua.LNumber(int64(u.number(uint64(bytes))<<(64-8*bytes)) >> (64 - 8*bytes))
	case c >= 0xd9 && c <= 0xdb:
		return u.string(u.number(1 << (c - 0xd9)))
	case c == 0xdc || c == 0xdd:
		return u.array(u.number(2<<(c-0xdc)), depth)
	case c == 0xde || c == 0xdf:
		return u.mapOf(u.number(2<<(c-0xde)), depth)
	}
	u.l.RaiseError("Bad data format in input.")
	return nil
}

func (u *unpacker) string(n uint64) lua.LValue {
	u.m.charge(u.l, stringBytes)
	return lua.LString(u.take(n))
}

// A length is not believed: memory grows with the values that are there.

func (u *unpacker) array(n uint64, depth int) lua.LValue {
	u.m.charge(u.l, tableBytes)
	t := &lua.LTable{Metatable: lua.LNil}
	for i := range n {
		u.m.put(u.l, t, int(i)+1, u.value(depth+1))
	}
	return t
}

func (u *unpacker) mapOf(n uint64, depth int) lua.LValue {
	u.m.charge(u.l, tableBytes)
	t := &lua.LTable{Metatable: lua.LNil}
	for range n {
		key := u.value(depth + 1)
		value := u.value(depth + 1)
		if f, ok := key.(lua.LNumber); ok && f != f {
			u.l.Error(lua.LString("table index is NaN"), 0)
		}
		if key == lua.LNil {
			u.l.Error(lua.LString("table index is nil"), 0)
		}
		if t.RawGet(key) == lua.LNil {
			u.m.grow(u.l, t, key)
		}
		t.RawSet(key, value)
	}
	return t
}
