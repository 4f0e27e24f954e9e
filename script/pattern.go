package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// matcher matches a pattern of Lua 5.1 (lstrlib.c's algorithm), and counts its work as steps of the script.
type matcher struct {
	m     *machine
	l     *lua.LState
	s, p  string
	level int // captures
	depth int // of the recursion
	at    [capturesMax]capture
}

type capture struct{ from, n int }

const (
	capturesMax = 32
	matchDepth  = 200
	unfinished  = -1 // n of a capture that is open
	position    = -2 // n of ()
	escape      = '%'
	noMatch     = -1
)

func (g *matcher) fail(text string) { g.l.RaiseError("%s", text) }

func (g *matcher) restart() { g.level, g.depth = 0, 0 }

// match tries pattern p[pi:] at s[si:], and gives the end of the match.
func (g *matcher) match(si, pi int) int {
	g.m.step(g.l, 1)
	if g.depth++; g.depth > matchDepth {
		g.fail("pattern too complex")
	}
	defer func() { g.depth-- }()
	for pi < len(g.p) {
		switch c := g.p[pi]; {
		case c == '(' && pi+1 < len(g.p) && g.p[pi+1] == ')':
			return g.open(si, pi+2, position)
		case c == '(':
			return g.open(si, pi+1, unfinished)
		case c == ')':
			return g.close(si, pi+1)
		case c == '$' && pi+1 == len(g.p):
			if si == len(g.s) {
				return si
			}
			return noMatch
		case c == escape && pi+1 < len(g.p) && g.p[pi+1] == 'b':
			if si = g.balance(si, pi+2); si == noMatch {
				return noMatch
			}
			pi += 4
			continue
		case c == escape && pi+1 < len(g.p) && g.p[pi+1] == 'f':
			var ok bool
			if pi, ok = g.frontier(si, pi+2); !ok {
				return noMatch
			}
			continue
		case c == escape && pi+1 < len(g.p) && g.p[pi+1] >= '0' && g.p[pi+1] <= '9':
			if si = g.again(si, g.p[pi+1]); si == noMatch {
				return noMatch
			}
			pi += 2
			continue
		}
		end := g.classEnd(pi)
		suffix := byte(0)
		if end < len(g.p) {
			suffix = g.p[end]
		}
		switch suffix {
		case '?':
			if g.single(si, pi, end) {
				if r := g.match(si+1, end+1); r != noMatch {
					return r
				}
			}
			pi = end + 1
		case '*':
			return g.most(si, pi, end, 0)
		case '+':
			return g.most(si, pi, end, 1)
		case '-':
			return g.least(si, pi, end)
		default:
			if !g.single(si, pi, end) {
				return noMatch
			}
			g.m.step(g.l, 1)
			si, pi = si+1, end
		}
	}
	return si
}

// most matches as many as there are, at least so many, then the rest.
func (g *matcher) most(si, pi, end, atLeast int) int {
	n := 0
	for g.single(si+n, pi, end) {
		n++
	}
	g.m.step(g.l, n/4)
	for ; n >= atLeast; n-- {
		if r := g.match(si+n, end+1); r != noMatch {
			return r
		}
	}
	return noMatch
}

func (g *matcher) least(si, pi, end int) int {
	for {
		if r := g.match(si, end+1); r != noMatch {
			return r
		}
		if !g.single(si, pi, end) {
			return noMatch
		}
		si++
	}
}

func (g *matcher) open(si, pi, kind int) int {
	if g.level == capturesMax {
		g.fail("too many captures")
	}
	g.at[g.level] = capture{si, kind}
	g.level++
	r := g.match(si, pi)
	if r == noMatch {
		g.level--
	}
	return r
}

func (g *matcher) close(si, pi int) int {
	i := g.level - 1
	for i >= 0 && g.at[i].n != unfinished {
		i--
	}
	if i < 0 {
		g.fail("invalid pattern capture")
	}
	g.at[i].n = si - g.at[i].from
	r := g.match(si, pi)
	if r == noMatch {
		g.at[i].n = unfinished
	}
	return r
}

func (g *matcher) balance(si, pi int) int {
	if pi+1 >= len(g.p) {
		g.fail("unbalanced pattern")
	}
	if si >= len(g.s) || g.s[si] != g.p[pi] {
		return noMatch
	}
	first, last, depth := g.p[pi], g.p[pi+1], 1
	for i := si + 1; i < len(g.s); i++ {
		g.m.step(g.l, 1)
		switch g.s[i] {
		case last:
			if depth--; depth == 0 {
				return i + 1
			}
		case first:
			depth++
		}
	}
	return noMatch
}

func (g *matcher) frontier(si, pi int) (int, bool) {
	if pi >= len(g.p) || g.p[pi] != '[' {
		g.fail("missing '[' after '%f' in pattern")
	}
	end := g.classEnd(pi)
	before, here := byte(0), byte(0)
	if si > 0 {
		before = g.s[si-1]
	}
	if si < len(g.s) {
		here = g.s[si]
	}
	return end, !g.inSet(before, pi, end-1) && g.inSet(here, pi, end-1)
}

// again matches what a capture has matched.
func (g *matcher) again(si int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= g.level || g.at[i].n == unfinished {
		g.fail("invalid capture index")
	}
	c := g.at[i]
	g.m.step(g.l, max(c.n, 0)/8)
	if c.n >= 0 && strings.HasPrefix(g.s[si:], g.s[c.from:c.from+c.n]) {
		return si + c.n
	}
	return noMatch
}

// classEnd is where the single-character class that begins at pi ends.
func (g *matcher) classEnd(pi int) int {
	c := g.p[pi]
	pi++
	switch {
	case c == escape:
		if pi >= len(g.p) {
			g.fail("malformed pattern (ends with '%')")
		}
		return pi + 1
	case c != '[':
		return pi
	}
	if pi < len(g.p) && g.p[pi] == '^' {
		pi++
	}
	for first := true; ; first = false {
		if pi >= len(g.p) {
			g.fail("malformed pattern (missing ']')")
		}
		c := g.p[pi]
		if c == ']' && !first {
			return pi + 1
		}
		if pi++; c == escape {
			if pi >= len(g.p) {
				g.fail("malformed pattern (missing ']')")
			}
			pi++
		}
	}
}

func (g *matcher) single(si, pi, end int) bool {
	if si >= len(g.s) {
		return false
	}
	switch c := g.s[si]; g.p[pi] {
	case '.':
		return true
	case escape:
		return inClass(c, g.p[pi+1])
	case '[':
		g.m.step(g.l, (end-pi)/16)
		return g.inSet(c, pi, end-1)
	default:
		return g.p[pi] == c
	}
}

// inSet tells whether c is in the set [...] from pi to its closing bracket at end.
func (g *matcher) inSet(c byte, pi, end int) bool {
	in := true
	if pi++; g.p[pi] == '^' {
		in = false
		pi++
	}
	for ; pi < end; pi++ {
		switch {
		case g.p[pi] == escape:
			pi++
			if inClass(c, g.p[pi]) {
				return in
			}
		case pi+2 < end && g.p[pi+1] == '-':
			if g.p[pi] <= c && c <= g.p[pi+2] {
				return in
			}
			pi += 2
		case g.p[pi] == c:
			return in
		}
	}
	return !in
}

// inClass tells whether c is of a class such as %a; the upper case letter is all others. Other characters stand for themselves.
func inClass(c, class byte) bool {
	lower := class | 0x20
	var is bool
	switch lower {
	case 'a':
		is = isLetter(c)
	case 'c':
		is = c < ' ' || c == 0x7f
	case 'd':
		is = isDigit(c)
	case 'l':
		is = c >= 'a' && c <= 'z'
	case 'p':
		is = c > ' ' && c < 0x7f && !isLetter(c) && !isDigit(c)
	case 's':
		is = c == ' ' || c >= '\t' && c <= '\r'
	case 'u':
		is = c >= 'A' && c <= 'Z'
	case 'w':
		is = isLetter(c) || isDigit(c)
	case 'x':
		is = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		is = c == 0
	default:
		return class == c
	}
	if !isLetter(class) {
		return class == c
	}
	return is == (class == lower)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// captured is capture i of a match from si to end; the whole match when there are no captures.
func (g *matcher) captured(i, si, end int) lua.LValue {
	if i >= g.level {
		if i > 0 {
			g.fail("invalid capture index")
		}
		return g.text(si, end)
	}
	switch c := g.at[i]; c.n {
	case unfinished:
		g.fail("unfinished capture")
	case position:
		return lua.LNumber(c.from + 1)
	default:
		return g.text(c.from, c.from+c.n)
	}
	return lua.LNil
}

func (g *matcher) text(from, to int) lua.LValue {
	g.m.charge(g.l, stringBytes)
	return lua.LString(g.s[from:to])
}

// push puts the captures on the stack; the whole match when there are none and it is wanted.
func (g *matcher) push(si, end int, whole bool) int {
	n := g.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		g.l.Push(g.captured(i, si, end))
	}
	return n
}
