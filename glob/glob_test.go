package glob

import (
	"bytes"
	"strings"
	"testing"
)

// What Redis answers (stringmatchlen in util.c).
func TestMatch(t *testing.T) {
	for _, v := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "", false}, {"*", "", true}, {"*", "abc", true}, {"**", "abc", true},
		{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*c", "abcd", false}, {"*b*", "abc", true},
		{"a*b*c", "aXbYbZc", true}, {"*aab", "aaaab", true}, {"*aab", "aaaba", false}, {"a**b", "ab", true}, {"***", "", true},
		{"?", "", false}, {"?", "a", true}, {"?", "ab", false}, {"a?c", "abc", true}, {"*?", "", false}, {"?*?", "ab", true},
		{"?", "\x00", true}, {"a\x00b", "a\x00b", true}, {"?", "\xff", true},
		{"[abc]", "b", true}, {"[abc]", "d", false}, {"[a-c]", "b", true}, {"[c-a]", "b", true}, {"[a-c]", "d", false},
		{"[^a-c]", "d", true}, {"[^a-c]", "b", false}, {"[^]", "a", true}, {"[^]a", "ba", true}, {"[]", "a", false}, {"[]a]", "a]", false},
		{"[!a]", "!", true}, {"[!a]", "b", false}, {"[a^]", "^", true},
		{"[a-]", "a", true}, {"[a-]", "-", false}, {"[a-]", "]", true}, {"[-a]", "-", true}, {"[a-", "a", true}, {"[a-", "-", true},
		{`[\]]`, "]", true}, {`[\a]`, "a", true}, {`[\a]`, `\`, false}, {`[a\-c]`, "b", false}, {`[a\-c]`, "-", true}, {`[\`, `\`, true},
		{"[a", "a", true}, {"[a", "b", false}, {"[", "[", false}, {"[", "", false}, {"[^", "x", true}, {"[ab]c", "bc", true},
		{"[[]", "[", true}, {"[a-z][0-9]", "q7", true}, {"[\xf0-\xff]", "\xf8", true},
		{`\*`, "*", true}, {`\*`, "a", false}, {`\?`, "?", true}, {`\[a]`, "[a]", true}, {`\\`, `\`, true}, {`\`, `\`, true},
		{`a\`, `a\`, true}, {`\a`, "a", true}, {`*\*`, "ab*", true},
		{"h?llo", "hello", true}, {"h[ae]llo", "hillo", false}, {"user:*:name", "user:7:name", true}, {"A", "a", false},
	} {
		if got := Match([]byte(v.pattern), []byte(v.text)); got != v.want {
			t.Errorf("%q matches %q: %v, want %v", v.pattern, v.text, got, v.want)
		}
		if got := reference([]byte(v.pattern), []byte(v.text)); got != v.want {
			t.Errorf("the reference: %q matches %q: %v, want %v", v.pattern, v.text, got, v.want)
		}
	}
}

// reference is written after Redis's stringmatchlen, recursion and all.
func reference(p, s []byte) bool {
	for len(p) > 0 && len(s) > 0 {
		switch p[0] {
		case '*':
			for i := range len(s) + 1 {
				if reference(p[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			p = p[1:]
		case '[':
			var ok bool
			if p, ok = referenceClass(p[1:], s[0]); !ok {
				return false
			}
		case '\\':
			if len(p) >= 2 {
				p = p[1:]
			}
			fallthrough
		default:
			if p[0] != s[0] {
				return false
			}
			p = p[1:]
		}
		s = s[1:]
	}
	return len(s) == 0 && len(bytes.TrimLeft(p, "*")) == 0
}

func referenceClass(p []byte, c byte) (rest []byte, ok bool) {
	not := len(p) > 0 && p[0] == '^'
	if not {
		p = p[1:]
	}
	match := false
	for {
		switch {
		case len(p) == 0:
			return p, match != not
		case len(p) >= 2 && p[0] == '\\':
			p = p[1:]
			match = match || p[0] == c
		case p[0] == ']':
			return p[1:], match != not
		case len(p) >= 3 && p[1] == '-':
			match = match || p[0] <= c && c <= p[2] || p[2] <= c && c <= p[0]
			p = p[2:]
		default:
			match = match || p[0] == c
		}
		p = p[1:]
	}
}

// All short patterns over the letters that mean something, on all short texts.
func TestMatchAgainstReference(t *testing.T) {
	patterns := words(`*?[]^-\a`, 5)
	texts := words(`a-]`, 3)
	for _, p := range patterns {
		for _, s := range texts {
			if got, want := Match(p, s), reference(p, s); got != want {
				t.Fatalf("%q matches %q: %v, want %v", p, s, got, want)
			}
		}
	}
}

// words are all words of up to n of the letters.
func words(letters string, n int) (all [][]byte) {
	all = [][]byte{nil}
	for begin := 0; n > 0; n-- {
		end := len(all)
		for _, w := range all[begin:end] {
			for _, c := range []byte(letters) {
				all = append(all, append(bytes.Clone(w), c))
			}
		}
		begin = end
	}
	return all
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte("a*[^b-c]?\\*"), []byte("abcd*"))
	f.Add([]byte("[\\]-a]*"), []byte("]x"))
	f.Fuzz(func(t *testing.T, p, s []byte) {
		p, s = p[:min(len(p), 12)], s[:min(len(s), 12)]
		if got, want := Match(p, s), reference(p, s); got != want {
			t.Fatalf("%q matches %q: %v, want %v", p, s, got, want)
		}
	})
}

// Patterns that take the recursive form exponential time are done in the product of the lengths.
func TestMatchIsNotExponential(t *testing.T) {
	pattern := []byte(strings.Repeat("a*", 200) + "b")
	if Match(pattern, bytes.Repeat([]byte("a"), 2000)) {
		t.Error("matched")
	}
}
