package viewtest

import (
	"fmt"
	"strconv"
)

// Args goes through the words of a command in a script. What is missing or malformed panics: a script is fixed by hand.
type Args struct{ words []string }

// NewArgs makes Args of the words after the command's name.
func NewArgs(words []string) *Args { return &Args{words} }

// Word is the next word.
func (a *Args) Word() string {
	if len(a.words) == 0 {
		panic("viewtest: a word is missing in a script")
	}
	w := a.words[0]
	a.words = a.words[1:]
	return w
}

// Bytes is the next word as bytes.
func (a *Args) Bytes() []byte { return []byte(a.Word()) }

// Int is the next word as a number.
func (a *Args) Int() int64 {
	n, err := strconv.ParseInt(a.Word(), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("viewtest: %v", err))
	}
	return n
}

// Is takes the next word if it is w.
func (a *Args) Is(w string) bool {
	if len(a.words) == 0 || a.words[0] != w {
		return false
	}
	a.words = a.words[1:]
	return true
}

// End checks that no word is left.
func (a *Args) End() {
	if len(a.words) > 0 {
		panic(fmt.Sprintf("viewtest: %q is left over in a script", a.words))
	}
}

// More tells whether a word is left.
func (a *Args) More() bool { return len(a.words) > 0 }
