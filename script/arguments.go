package script

import lua "github.com/yuin/gopher-lua"

// checkNumber is an argument that is a number, or a string that reads as one.
func checkNumber(l *lua.LState, i int) float64 {
	n, ok := toNumber(l.Get(i)).(lua.LNumber)
	if !ok {
		typeError(l, i, lua.LTNumber)
	}
	return float64(n)
}

// intLimit bounds integers given to functions, so that adding a few of them can't overflow.
const intLimit = 1 << 52

func checkInt(l *lua.LState, i int) int {
	n := checkNumber(l, i)
	switch {
	case n >= intLimit:
		return intLimit
	case n <= -intLimit:
		return -intLimit
	case n != n:
		return 0
	}
	return int(n)
}

func optInt(l *lua.LState, i, or int) int {
	if l.Get(i) == lua.LNil {
		return or
	}
	return checkInt(l, i)
}

// typeError raises the error for an argument of another type than was wanted.
func typeError(l *lua.LState, i int, want lua.LValueType) {
	got := "no value"
	if i <= l.GetTop() {
		got = l.Get(i).Type().String()
	}
	l.ArgError(i, want.String()+" expected, got "+got)
}
