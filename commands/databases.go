package commands

// There is one database, 0. These commands are here for what Redis says when told of another.

func databaseRows() []Command {
	rows := grouped("generic", "keyspace", keyed(1, 1, 1, "RW access delete",
		Command{Name: "move", Arity: 3, Flags: "write fast", Syntax: "key db", Since: "1.0.0", Summary: "Always an error: there is one database, 0.", parse: parseMove}))
	return append(rows, grouped("server", "keyspace", []Command{
		{Name: "swapdb", Arity: 3, Flags: "write fast dangerous", Syntax: "index1 index2", Since: "4.0.0", Summary: "There is one database, 0: OK for 0 and 0.", parse: parseSwapDB},
	})...)
}

func parseMove(p *parser) request {
	p.name()
	if p.int() != 0 {
		p.fail("ERR value is out of range")
	}
	p.fail(errSameObject)
	return request{}
}

func parseSwapDB(p *parser) request {
	for _, text := range []string{"ERR invalid first DB index", "ERR invalid second DB index"} {
		db, ok := parseInt(p.next())
		if !ok {
			p.fail(text)
		}
		if db != 0 {
			p.fail(errDBIndex)
		}
	}
	return replyLocalOK
}
