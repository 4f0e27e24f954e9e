package commands

// Functions (FUNCTION LOAD, FCALL) are not supported: EVAL is. But tools that clean a server before they use it say FUNCTION FLUSH,
// and those that look at one say FUNCTION LIST; Redis's own test-suite does. There are none, so both have true answers.

func functionRow() Command {
	const text = "There are no functions; see EVAL."
	return Command{
		Name: "function", Arity: -2, Flags: "noscript", Since: "7.0.0", Complexity: "Depends on subcommand.", Summary: text,
		Sub: []Command{
			{Name: "flush", Arity: -2, Flags: "noscript write", Syntax: "[ASYNC | SYNC]", Since: "7.0.0", Complexity: "O(1)", Summary: "OK, for there are none.", parse: parseFunctionFlush},
			{Name: "list", Arity: -2, Flags: "noscript", Syntax: "[LIBRARYNAME library-name-pattern] [WITHCODE]", Since: "7.0.0", Complexity: "O(1)", Summary: "An empty array.", parse: parseFunctionList},
			{Name: "help", Arity: 2, Flags: "loading stale", Since: "7.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("function")},
		},
	}
}

func parseFunctionFlush(p *parser) request {
	if len(p.args) > 1 || len(p.args) == 1 && !p.is("SYNC") && !p.is("ASYNC") {
		p.fail("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
	}
	return replyLocalOK
}

func parseFunctionList(p *parser) request {
	for p.more() {
		switch {
		case p.is("WITHCODE"):
		case len(p.args) > 1 && p.is("LIBRARYNAME"):
			p.next()
		default:
			p.fail("ERR Unknown argument " + shown(p.next(), 128))
		}
	}
	return request{local: func(c *call) { c.w.Array(0) }}
}
