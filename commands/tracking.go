package commands

// Client side caching is refused: a client that is told of no change would serve stale reads. The text is a plain error, which
// go-redis, redis-py, Lettuce and StackExchange take for "no caching"; rueidis needs DisableCache.

func trackingRows(flags string) []Command {
	return []Command{
		{Name: "tracking", Arity: -3, Flags: flags, Syntax: "ON | OFF", Since: "6.0.0", Complexity: "O(1)", Summary: "OFF is accepted. ON is refused: no invalidations are sent.", parse: parseClientTracking},
		{Name: "trackinginfo", Arity: 2, Flags: flags, Since: "6.2.0", Complexity: "O(1)", Summary: "That tracking is off.", parse: parseTrackingInfo},
		{Name: "caching", Arity: 3, Flags: flags, Syntax: "YES | NO", Since: "6.0.0", Complexity: "O(1)", Summary: "An error, for tracking is off.", parse: parseClientCaching},
		{Name: "getredir", Arity: 2, Flags: flags, Since: "6.0.0", Complexity: "O(1)", Summary: "-1, for tracking is off.", parse: func(*parser) request {
			return request{local: func(c *call) { c.w.Int(-1) }}
		}},
	}
}

func parseClientTracking(p *parser) request {
	switch {
	case p.is("OFF"):
	case p.is("ON"):
		p.fail(errWantsTracking)
	default:
		p.fail(errSyntax)
	}
	return replyLocalOK
}

func parseTrackingInfo(*parser) request {
	return request{local: func(c *call) {
		c.w.Map(3)
		c.w.BulkString("flags")
		c.w.Set(1)
		c.w.BulkString("off")
		c.w.BulkString("redirect")
		c.w.Int(-1)
		c.w.BulkString("prefixes")
		c.w.Array(0)
	}}
}

func parseClientCaching(p *parser) request {
	p.fail(errNotTracking)
	return request{}
}
