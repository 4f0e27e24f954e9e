package script

import (
	"math"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

// appendNumber writes a number as C's printf does with %.<digits>g. Lua has 14 digits, arguments of redis.call have 17.
func appendNumber(dst []byte, n float64, digits int) []byte {
	switch {
	case math.IsNaN(n):
		if math.Signbit(n) {
			dst = append(dst, '-')
		}
		return append(dst, "nan"...)
	case math.IsInf(n, 1):
		return append(dst, "inf"...)
	case math.IsInf(n, -1):
		return append(dst, "-inf"...)
	case n == math.Trunc(n) && math.Abs(n) < 1e14 && (n != 0 || !math.Signbit(n)):
		return strconv.AppendInt(dst, int64(n), 10)
	}
	return strconv.AppendFloat(dst, n, 'g', digits, 64)
}

const (
	luaDigits = 14
	argDigits = 17
)

// text is a string or a number as a string.
func text(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		var buf [32]byte
		return string(appendNumber(buf[:0], float64(v), luaDigits)), true
	}
	return "", false
}

// integer turns a number to an integer as a conversion in C does on common machines: what does not fit is the least integer.
func integer(n float64) int64 {
	if n != n || n >= math.MaxInt64 || n < math.MinInt64 {
		return math.MinInt64
	}
	return int64(n)
}
