package commands

// Redis's monitor of latencies is off unless it is asked for. Here it is always off: the node's histograms are on the admin
// port (/metrics), so these commands say what Redis says when nothing was seen.

func latencyRow() Command {
	const flags = "admin noscript loading stale"
	return Command{Name: "latency", Arity: -2, Flags: flags, Since: "2.8.13", Group: "server", Complexity: "Depends on subcommand.", Summary: "Nothing is recorded here; see /metrics on the admin port, and SLOWLOG.",
		Sub: []Command{
			{Name: "latest", Arity: 2, Flags: flags, Since: "2.8.13", Complexity: "O(1)", Summary: "An empty array.", parse: parseEmptyArray},
			{Name: "history", Arity: 3, Flags: flags, Syntax: "event", Since: "2.8.13", Complexity: "O(1)", Summary: "An empty array.", parse: parseEmptyArray},
			{Name: "reset", Arity: -2, Flags: flags, Syntax: "[event [event ...]]", Since: "2.8.13", Complexity: "O(1)", Summary: "0, for nothing was recorded.", parse: func(p *parser) request {
				return request{local: func(c *call) { c.w.Int(0) }}
			}},
			{Name: "histogram", Arity: -2, Flags: flags, Syntax: "[command [command ...]]", Since: "7.0.0", Complexity: "O(1)", Summary: "An empty map.", parse: func(p *parser) request {
				return request{local: func(c *call) { c.w.Map(0) }}
			}},
			{Name: "doctor", Arity: 2, Flags: flags, Since: "2.8.13", Complexity: "O(1)", Summary: "Where to look instead.", parse: func(p *parser) request {
				return request{local: func(c *call) {
					c.w.Verbatim("txt", "Latencies are on the admin port, under /metrics; commands that took long are in SLOWLOG.\n")
				}}
			}},
			{Name: "help", Arity: 2, Flags: "loading stale", Since: "2.8.13", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("latency")},
		}}
}

func parseEmptyArray(*parser) request {
	return request{local: func(c *call) { c.w.Array(0) }}
}
