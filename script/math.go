package script

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// of makes a function of Lua of one number.
func of(f func(float64) float64) lua.LGFunction {
	return func(l *lua.LState) int {
		l.Push(lua.LNumber(f(checkNumber(l, 1))))
		return 1
	}
}

// ofTwo makes a function of Lua of two numbers.
func ofTwo(f func(a, b float64) float64) lua.LGFunction {
	return func(l *lua.LState) int {
		l.Push(lua.LNumber(f(checkNumber(l, 1), checkNumber(l, 2))))
		return 1
	}
}

// best makes min and max.
func best(better func(a, b float64) bool) lua.LGFunction {
	return func(l *lua.LState) int {
		found := checkNumber(l, 1)
		for i := 2; i <= l.GetTop(); i++ {
			if n := checkNumber(l, i); better(n, found) {
				found = n
			}
		}
		l.Push(lua.LNumber(found))
		return 1
	}
}

func (m *machine) mathFunctions() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"abs": of(math.Abs), "acos": of(math.Acos), "asin": of(math.Asin), "atan": of(math.Atan), "atan2": ofTwo(math.Atan2),
		"ceil": of(math.Ceil), "cos": of(math.Cos), "cosh": of(math.Cosh), "exp": of(math.Exp), "floor": of(math.Floor),
		"fmod": ofTwo(math.Mod), "mod": ofTwo(math.Mod), "log": of(math.Log), "log10": of(math.Log10), "pow": ofTwo(math.Pow),
		"sin": of(math.Sin), "sinh": of(math.Sinh), "sqrt": of(math.Sqrt), "tan": of(math.Tan), "tanh": of(math.Tanh),
		"deg":   of(func(x float64) float64 { return x / (math.Pi / 180) }),
		"rad":   of(func(x float64) float64 { return x * (math.Pi / 180) }),
		"ldexp": ofTwo(func(x, e float64) float64 { return math.Ldexp(x, int(e)) }),
		"max":   best(func(a, b float64) bool { return a > b }),
		"min":   best(func(a, b float64) bool { return a < b }),
		"frexp": func(l *lua.LState) int { return pushTwo(l, split(math.Frexp(checkNumber(l, 1)))) },
		"modf": func(l *lua.LState) int {
			n := checkNumber(l, 1)
			if math.IsInf(n, 0) {
				return pushTwo(l, [2]float64{n, 0})
			}
			return pushTwo(l, split2(math.Modf(n)))
		},
		"random": m.mathRandom, "randomseed": m.mathRandomSeed,
	}
}

func split(f float64, e int) [2]float64  { return [2]float64{f, float64(e)} }
func split2(whole, f float64) [2]float64 { return [2]float64{whole, f} }

func pushTwo(l *lua.LState, n [2]float64) int {
	l.Push(lua.LNumber(n[0]))
	l.Push(lua.LNumber(n[1]))
	return 2
}

// mathRandom gives other numbers in each run, unless randomseed is called: then always those of the seed. It is splitmix64.
func (m *machine) mathRandom(l *lua.LState) int {
	m.seed += 0x9e3779b97f4a7c15
	z := m.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	r := float64((z^z>>31)>>11) / (1 << 53)
	low, high := 1.0, 1.0
	switch l.GetTop() {
	case 0:
		l.Push(lua.LNumber(r))
		return 1
	case 1:
		high = float64(checkInt(l, 1))
	case 2:
		low, high = float64(checkInt(l, 1)), float64(checkInt(l, 2))
	default:
		l.RaiseError("wrong number of arguments")
	}
	if low > high {
		l.ArgError(l.GetTop(), "interval is empty")
	}
	l.Push(lua.LNumber(math.Floor(r*(high-low+1)) + low))
	return 1
}

func (m *machine) mathRandomSeed(l *lua.LState) int {
	m.seed = uint64(checkInt(l, 1))
	return 0
}
