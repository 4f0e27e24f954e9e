package script

import (
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// strFormat is string.format, with the conversions of C's printf.
func (m *machine) strFormat(l *lua.LState) int {
	s := checkText(l, 1)
	g := &matcher{m: m, l: l}
	var b []byte
	for arg := 2; ; {
		plain, rest, found := strings.Cut(s, "%")
		b = g.append(b, plain)
		if !found {
			m.charge(l, len(b)+stringBytes)
			return push(l, string(b))
		}
		if strings.HasPrefix(rest, "%") {
			b = g.append(b, "%")
			s = rest[1:]
			continue
		}
		n := len(rest) - len(strings.TrimLeft(rest, "-+ #0123456789."))
		if n >= len(rest) {
			l.RaiseError("invalid option '%%' to 'format'")
		}
		if arg > l.GetTop() {
			l.ArgError(arg, "no value")
		}
		b = g.append(b, m.converted(l, checkSpec(l, rest[:n]), rest[n], arg))
		s = rest[n+1:]
		arg++
	}
}

// checkSpec sees that flags, width and precision are no longer than C wants them.
func checkSpec(l *lua.LState, spec string) string {
	rest := strings.TrimLeft(spec, "-+ #0")
	if len(spec)-len(rest) > 5 {
		l.RaiseError("invalid format (repeated flags)")
	}
	width, precision, _ := strings.Cut(rest, ".")
	if len(width) > 2 || len(precision) > 2 || strings.Trim(width, "0123456789") != "" || strings.Trim(precision, "0123456789") != "" {
		l.RaiseError("invalid format (width or precision too long)")
	}
	return spec
}

// converted is one argument as its conversion writes it.
func (m *machine) converted(l *lua.LState, spec string, verb byte, arg int) string {
	switch verb {
	case 'd', 'i':
		return sprint(spec, 'd', integer(checkNumber(l, arg)))
	case 'u':
		return sprint(spec, 'd', uint64(integer(checkNumber(l, arg))))
	case 'o', 'x', 'X':
		return sprint(spec, verb, uint64(integer(checkNumber(l, arg))))
	case 'c':
		return sprint(strings.TrimLeft(spec, "0"), 's', string([]byte{byte(checkInt(l, arg))}))
	case 'e', 'E', 'f', 'g', 'G':
		return float(spec, verb, checkNumber(l, arg))
	case 'q':
		return quoted(checkText(l, arg))
	case 's':
		s := checkText(l, arg)
		if spec == "" {
			return s
		}
		m.charge(l, len(s)+128)
		return padded(spec, s)
	}
	l.RaiseError("invalid option '%%%s' to 'format'", string(rune(verb)))
	return ""
}

func sprint(spec string, verb byte, v any) string { return fmt.Sprintf("%"+spec+string(rune(verb)), v) }

func float(spec string, verb byte, n float64) string {
	if math.IsInf(n, 0) || math.IsNaN(n) {
		return sprint(strings.NewReplacer("0", "", "+", "").Replace(spec[:len(spec)-len(strings.TrimLeft(spec, "-+ #0"))])+widthOf(spec), 's', string(appendNumber(nil, n, luaDigits)))
	}
	if (verb == 'g' || verb == 'G') && !strings.Contains(spec, ".") {
		spec += ".6" // Go's default is the shortest
	}
	return sprint(spec, verb, n)
}

// widthOf is the width in a specification.
func widthOf(spec string) string {
	width, _, _ := strings.Cut(strings.TrimLeft(spec, "-+ #0"), ".")
	return width
}

// padded writes a string in a width, cut to the precision. Both count bytes.
func padded(spec, s string) string {
	rest := strings.TrimLeft(spec, "-+ #0")
	flags := spec[:len(spec)-len(rest)]
	var width, precision int
	before, after, found := strings.Cut(rest, ".")
	fmt.Sscan(before, &width)
	if found {
		fmt.Sscan(after, &precision)
		s = s[:min(len(s), precision)]
	}
	fill := strings.Repeat(" ", max(width-len(s), 0))
	if strings.Contains(flags, "-") {
		return s + fill
	}
	return fill + s
}

// quoted is a string as Lua reads it back.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString("\\r")
		case 0:
			b.WriteString("\\000")
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
