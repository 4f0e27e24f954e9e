// Package glob matches byte strings against patterns as Redis does.
package glob

// Match tells whether text matches a pattern of Redis: * ? [a-z] [^a] and \ to take the next byte as it is. It goes back
// only to the last star, so its time is bounded by the product of the lengths, and it does not recurse.
func Match(pattern, text []byte) bool {
	p, t := 0, 0
	star, mark := -1, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, t
			p++
			continue
		}
		if next, ok := element(pattern, p, text[t]); ok {
			p, t = next, t+1
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, t = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// element matches one byte against the element of the pattern at p, and returns where the next element begins.
func element(pattern []byte, p int, c byte) (next int, ok bool) {
	if p >= len(pattern) {
		return p, false
	}
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return class(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// class matches a byte against the class that begins at p. A class that is not closed ends with the pattern.
func class(pattern []byte, p int, c byte) (next int, ok bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	hit := false
	for ; p < len(pattern) && pattern[p] != ']'; p++ {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			p++
			hit = hit || pattern[p] == c
		case p+2 < len(pattern) && pattern[p+1] == '-':
			lo, hi := min(pattern[p], pattern[p+2]), max(pattern[p], pattern[p+2])
			hit = hit || lo <= c && c <= hi
			p += 2
		default:
			hit = hit || pattern[p] == c
		}
	}
	if p < len(pattern) {
		p++
	}
	return p, hit != not
}
