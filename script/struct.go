package script

import (
	"fmt"
	"math"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The library struct is Roberto Ierusalimschy's, as on a 64-bit little endian machine: it packs values into the bytes of C's
// structs by a format. Its letters stand at layout.size and structControl.
const (
	structIntMax   = 32 // bytes of an i or I
	structAlignMax = 8
)

func (m *machine) structFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{"pack": m.structPack, "unpack": m.structUnpack, "size": m.structSize}
}

// layout goes through a format.
type layout struct {
	m     *machine
	l     *lua.LState
	rest  string
	big   bool
	align int
}

func (m *machine) newLayout(l *lua.LState) *layout {
	format, _, _ := strings.Cut(checkText(l, 1), "\x00") // C ends it there
	return &layout{m: m, l: l, rest: format, align: 1}
}

// next takes an option with its size, and the padding that it needs at a place.
func (f *layout) next(at int) (option byte, size, pad int, ok bool) {
	if f.rest == "" {
		return 0, 0, 0, false
	}
	f.m.step(f.l, 1)
	option, f.rest = f.rest[0], f.rest[1:]
	size = f.size(option)
	return option, size, f.padding(at, option, size), true
}

// size is what an option takes; 0 for one that says so itself, or takes nothing.
func (f *layout) size(option byte) int {
	switch option {
	case 'b', 'B', 'x':
		return 1
	case 'h', 'H':
		return 2
	case 'l', 'L', 'T', 'd':
		return 8
	case 'f':
		return 4
	case 'c':
		return f.number(1)
	case 'i', 'I':
		n := f.number(4)
		if n > structIntMax {
			f.l.RaiseError("integral size %d is larger than limit of %d", n, structIntMax)
		}
		return n
	}
	return 0
}

// number takes the number behind an option, if there is one.
func (f *layout) number(otherwise int) int {
	if f.rest == "" || !isDigit(f.rest[0]) {
		return otherwise
	}
	n := 0
	for f.rest != "" && isDigit(f.rest[0]) {
		if n = n*10 + int(f.rest[0]-'0'); n > math.MaxInt32 {
			f.l.RaiseError("integral size overflow")
		}
		f.rest = f.rest[1:]
	}
	return n
}

func (f *layout) padding(at int, option byte, size int) int {
	if size == 0 || option == 'c' {
		return 0
	}
	size = min(size, f.align)
	return (size - at&(size-1)) & (size - 1)
}

// control obeys an option that stands for no value: > and < choose the order of bytes, ! the alignment.
func (f *layout) control(option byte) {
	switch option {
	case ' ':
	case '>', '<':
		f.big = option == '>'
	case '!':
		n := f.number(structAlignMax)
		if n <= 0 || n&(n-1) != 0 {
			f.l.RaiseError("alignment %d is not a power of 2", n)
		}
		f.align = n
	default:
		f.l.ArgError(1, fmt.Sprintf("invalid format option '%c'", option))
	}
}

// ordered turns bytes in little endian order to the order of the format, and back.
func (f *layout) ordered(b []byte) []byte {
	if f.big {
		slices.Reverse(b)
	}
	return b
}

// bytesOf is a number of some bytes in the order of the format.
func (f *layout) bytesOf(v uint64, size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(v)
		v >>= 8
	}
	return string(f.ordered(b))
}

// valueOf is the number that bytes stand for; of more than 8 the low ones.
func (f *layout) valueOf(s string) (v uint64) {
	b := f.ordered([]byte(s))
	for _, c := range slices.Backward(b) {
		v = v<<8 | uint64(c)
	}
	return v
}

func isIntegerOption(option byte) bool { return strings.IndexByte("bBhHlLTiI", option) >= 0 }

func (m *machine) structPack(l *lua.LState) int {
	f, g, arg := m.newLayout(l), &matcher{m: m, l: l}, 1
	var b []byte
	for option, size, pad, ok := f.next(0); ok; option, size, pad, ok = f.next(len(b)) {
		b = g.append(b, string(make([]byte, pad)))
		switch {
		case isIntegerOption(option):
			arg++
			b = g.append(b, f.bytesOf(structInteger(checkNumber(l, arg)), size))
		case option == 'x':
			b = g.append(b, "\x00")
		case option == 'f':
			arg++
			b = g.append(b, f.bytesOf(uint64(math.Float32bits(float32(checkNumber(l, arg)))), size))
		case option == 'd':
			arg++
			b = g.append(b, f.bytesOf(math.Float64bits(checkNumber(l, arg)), size))
		case option == 'c' || option == 's':
			arg++
			s := checkText(l, arg)
			if size == 0 {
				size = len(s)
			}
			if len(s) < size {
				l.ArgError(arg+1, "string too short")
			}
			if b = g.append(b, s[:size]); option == 's' {
				b = g.append(b, "\x00")
			}
		default:
			f.control(option)
		}
	}
	m.charge(l, len(b)+stringBytes)
	return push(l, string(b))
}

// structInteger turns a number to the bits of an integer as C does on common machines.
func structInteger(n float64) uint64 {
	if n >= 1<<63 && n < 1<<64 {
		return uint64(n)
	}
	return uint64(integer(n))
}

func (m *machine) structUnpack(l *lua.LState) int {
	f, data, at := m.newLayout(l), checkText(l, 2), optInt(l, 3, 1)
	if at < 1 {
		l.ArgError(3, "offset must be 1 or greater")
	}
	at--
	var values []lua.LValue
	for option, size, pad, ok := f.next(at); ok; option, size, pad, ok = f.next(at) {
		if at += pad; len(values) >= resultsMax {
			l.RaiseError("too many results")
		}
		if option == 'c' && size == 0 {
			values, size = f.lengthBefore(values)
		}
		if at > len(data) || size > len(data)-at {
			l.ArgError(2, "data string too short")
		}
		v, used := f.take(option, data[at:], size)
		if v != nil {
			m.charge(l, 2*valueBytes+stringBytes)
			values = append(values, v)
		}
		at += used
	}
	for _, v := range values {
		l.Push(v)
	}
	l.Push(lua.LNumber(at + 1))
	return len(values) + 1
}

// lengthBefore takes the value before a c0 as its length.
func (f *layout) lengthBefore(values []lua.LValue) ([]lua.LValue, int) {
	last := len(values) - 1
	if last >= 0 {
		if n, ok := toNumber(values[last]).(lua.LNumber); ok {
			if n < 0 || n > math.MaxInt32 || n != n {
				n = math.MaxInt32 // more than any string has
			}
			return values[:last], int(n)
		}
	}
	f.l.RaiseError("format 'c0' needs a previous size")
	return nil, 0
}

// take reads a value from the front of data, nil for an option without one, and tells how many bytes it took.
func (f *layout) take(option byte, data string, size int) (lua.LValue, int) {
	switch {
	case isIntegerOption(option):
		v := f.valueOf(data[:size])
		if option >= 'a' && size > 0 {
			if shift := max(64-8*size, 0); shift > 0 || size == 8 {
				return lua.LNumber(int64(v<<shift) >> shift), size
			}
			return lua.LNumber(int64(v)), size
		}
		return lua.LNumber(v), size
	case option == 'x':
		return nil, size
	case option == 'f':
		return lua.LNumber(math.Float32frombits(uint32(f.valueOf(data[:size])))), size
	case option == 'd':
		return lua.LNumber(math.Float64frombits(f.valueOf(data[:size]))), size
	case option == 'c':
		return lua.LString(data[:size]), size
	case option == 's':
		end := strings.IndexByte(data, 0)
		if end < 0 {
			f.l.RaiseError("unfinished string in data")
		}
		return lua.LString(data[:end]), end + 1
	}
	f.control(option)
	return nil, size
}

func (m *machine) structSize(l *lua.LState) int {
	f, at := m.newLayout(l), 0
	for option, size, pad, ok := f.next(at); ok; option, size, pad, ok = f.next(at) {
		switch {
		case option == 's':
			l.ArgError(1, "option 's' has no fixed size")
		case option == 'c' && size == 0:
			l.ArgError(1, "option 'c0' has no fixed size")
		case !isAlphanumeric(option):
			f.control(option)
		}
		at += pad + size
	}
	l.Push(lua.LNumber(at))
	return 1
}

func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
