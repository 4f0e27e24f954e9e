package script

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// bitFunctions is the library bit of Mike Pall: numbers are taken modulo 2^32, and results are signed.
var bitFunctions = map[string]lua.LGFunction{
	"tobit":   func(l *lua.LState) int { return pushBits(l, checkBits(l, 1)) },
	"bnot":    func(l *lua.LState) int { return pushBits(l, ^checkBits(l, 1)) },
	"bswap":   func(l *lua.LState) int { return pushBits(l, bits.ReverseBytes32(checkBits(l, 1))) },
	"band":    bitFold(func(a, b uint32) uint32 { return a & b }),
	"bor":     bitFold(func(a, b uint32) uint32 { return a | b }),
	"bxor":    bitFold(func(a, b uint32) uint32 { return a ^ b }),
	"lshift":  bitShift(func(v uint32, n int) uint32 { return v << n }),
	"rshift":  bitShift(func(v uint32, n int) uint32 { return v >> n }),
	"arshift": bitShift(func(v uint32, n int) uint32 { return uint32(int32(v) >> n) }),
	"rol":     bitShift(bits.RotateLeft32),
	"ror":     bitShift(func(v uint32, n int) uint32 { return bits.RotateLeft32(v, -n) }),
	"tohex":   bitToHex,
}

// checkBits rounds to the nearest integer and takes its low 32 bits.
func checkBits(l *lua.LState, i int) uint32 {
	n := math.RoundToEven(checkNumber(l, i))
	if math.Abs(n) >= 1<<63 || n != n {
		return 0
	}
	return uint32(int64(n))
}

func pushBits(l *lua.LState, v uint32) int {
	l.Push(lua.LNumber(int32(v)))
	return 1
}

func bitFold(f func(a, b uint32) uint32) lua.LGFunction {
	return func(l *lua.LState) int {
		v := checkBits(l, 1)
		for i := 2; i <= l.GetTop(); i++ {
			v = f(v, checkBits(l, i))
		}
		return pushBits(l, v)
	}
}

func bitShift(f func(v uint32, n int) uint32) lua.LGFunction {
	return func(l *lua.LState) int {
		return pushBits(l, f(checkBits(l, 1), int(checkBits(l, 2)&31)))
	}
}

func bitToHex(l *lua.LState) int {
	v := checkBits(l, 1)
	n := 8
	if l.Get(2) != lua.LNil {
		n = int(int32(checkBits(l, 2)))
	}
	s := strconv.FormatUint(uint64(v)|1<<32, 16)[1:]
	if n < 0 {
		n, s = -max(n, -8), strings.ToUpper(s)
	}
	return push(l, s[8-min(n, 8):])
}
