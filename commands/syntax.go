package commands

import "strings"

// argument is an argument as COMMAND DOCS describes it.
type argument struct {
	name  string
	kind  string // key, string, integer, double, unix-time, pattern, pure-token, oneof, block
	token string // the word before it, or all of a pure-token
	flags []string
	parts []argument // of a oneof or block
}

// parseSyntax reads the Syntax of a row:
//
//	word            an argument        WORD            a token
//	WORD word       an argument after its token
//	[ ... ]         optional           < ... >         a group
//	a | b           one of them        a [a ...]       a, once or more
func parseSyntax(text string) []argument {
	for _, c := range []string{"[", "]", "<", ">"} {
		text = strings.ReplaceAll(text, c, " "+c+" ")
	}
	s := syntax{words: strings.Fields(text)}
	return s.alternatives()
}

type syntax struct{ words []string }

func (s *syntax) peek() string {
	if len(s.words) == 0 {
		return ""
	}
	return s.words[0]
}

func (s *syntax) take() string {
	w := s.peek()
	if w != "" {
		s.words = s.words[1:]
	}
	return w
}

// alternatives reads up to the end of a group. More than one becomes a oneof.
func (s *syntax) alternatives() []argument {
	choices := [][]argument{s.sequence()}
	for s.peek() == "|" {
		s.take()
		choices = append(choices, s.sequence())
	}
	if len(choices) == 1 {
		return choices[0]
	}
	all := argument{kind: "oneof", name: "option"}
	for _, c := range choices {
		all.parts = append(all.parts, block(c))
	}
	all.name = all.parts[0].name
	return []argument{all}
}

// block makes one argument of several.
func block(args []argument) argument {
	if len(args) == 1 {
		return args[0]
	}
	b := argument{kind: "block", name: "block", parts: args}
	if len(args) > 0 {
		b.name = args[0].name
	}
	return b
}

func (s *syntax) sequence() (args []argument) {
	for {
		switch w := s.peek(); w {
		case "", "|", "]", ">":
			return args
		case "<":
			s.take()
			args = append(args, block(s.alternatives()))
			s.take()
		case "[":
			s.take()
			args = s.optional(args)
		default:
			args = append(args, s.word())
		}
	}
}

// optional reads a [group]. One that ends with "..." repeats what stands before it.
func (s *syntax) optional(args []argument) []argument {
	inner := s.alternatives()
	repeats := len(inner) > 0 && inner[len(inner)-1].name == "..."
	s.take()
	if repeats {
		n := len(inner) - 1
		if n > 0 && len(args) >= n && args[len(args)-1].name == inner[n-1].name {
			repeated := block(args[len(args)-n:])
			repeated.flags = append(repeated.flags, "multiple")
			return append(args[:len(args)-n:len(args)-n], repeated)
		}
		one := block(inner[:n])
		one.flags = append(one.flags, "optional", "multiple")
		return append(args, one)
	}
	one := block(inner)
	one.flags = append([]string{"optional"}, one.flags...)
	return append(args, one)
}

func (s *syntax) word() argument {
	w := s.take()
	if !isToken(w) {
		return argument{name: w, kind: kindOf(w)}
	}
	if next := s.peek(); next != "" && !isToken(next) && !strings.ContainsAny(next, "[]<>|") {
		s.take()
		return argument{name: next, kind: kindOf(next), token: w}
	}
	return argument{name: strings.ToLower(w), kind: "pure-token", token: w}
}

func isToken(w string) bool {
	return w != "" && w != "..." && strings.ToUpper(w) == w && strings.ToLower(w) != w
}

// kindOf tells the type of an argument from its name.
func kindOf(name string) string {
	switch name {
	case "key", "newkey", "source", "destination":
		return "key"
	case "pattern":
		return "pattern"
	case "unix-time-seconds", "unix-time-milliseconds":
		return "unix-time"
	case "seconds", "milliseconds", "ttl-milliseconds", "wait-milliseconds", "count", "offset", "start", "end", "increment", "decrement",
		"revision", "cursor", "step", "min", "max", "index", "numreplicas", "timeout", "client-id", "protover", "destination-db", "time":
		return "integer"
	}
	return "string"
}
