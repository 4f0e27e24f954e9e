package commands

import (
	"context"
	"strings"
	"time"
)

func serverRows() []Command {
	rows := []Command{
		commandRow(),
		aclRow(),
		{Name: "info", Arity: -1, Flags: "loading stale dangerous", Syntax: "[section [section ...]]", Since: "1.0.0", Summary: "About the server, in sections.", parse: parseInfo},
		configRow(),
		{Name: "time", Arity: 1, Flags: "loading stale fast", Since: "2.6.0", Summary: "The wall clock of this node: seconds, and microseconds. See TIMESTAMP for an order of events.", parse: parseTime},
		{Name: "role", Arity: 1, Flags: "noscript loading stale fast admin", Since: "2.8.12", Summary: "Always that of a master without replicas: every node takes writes.", parse: parseRole},
		{Name: "wait", Arity: 3, Flags: "noscript", Categories: "connection", Syntax: "numreplicas timeout", Since: "3.0.0", Summary: "On how many other nodes every acknowledged write is; it never has to wait.", parse: parseWait},
		{Name: "waitaof", Arity: 4, Flags: "noscript", Syntax: "numlocal numreplicas timeout", Since: "7.2.0", Summary: "On how many nodes every acknowledged write is synced to disk: 1 for this one, and how many others. It never has to wait.", parse: parseWaitAOF},
		{Name: "lastsave", Arity: 1, Flags: "loading stale fast admin", Since: "1.0.0", Summary: "The present Unix time: what was acknowledged is on disk.", parse: parseLastSave},
		{Name: "monitor", Arity: 1, Flags: "admin noscript loading stale no_multi", Since: "1.0.0", Summary: "Shows all commands that this node is asked, as they come, passwords hidden. It costs every other client time.", direct: directMonitor},
		{Name: "module", Arity: -2, Flags: "admin noscript", Since: "4.0.0", Summary: "There are no modules.", Complexity: "Depends on subcommand.", Sub: []Command{
			{Name: "list", Arity: 2, Flags: "admin noscript", Since: "4.0.0", Complexity: "O(1)", Summary: "An empty array.", parse: parseEmptyArray},
			{Name: "help", Arity: 2, Flags: "loading stale", Since: "5.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("module")},
		}},
		slowlogRow(),
		latencyRow(),
		{Name: "lolwut", Arity: -1, Flags: "readonly fast", Syntax: "[VERSION version]", Since: "5.0.0", Summary: "The version of the server.", parse: parseLolwut},
		{Name: "debug", Arity: -2, Flags: "admin noscript loading stale", Since: "1.0.0", Summary: "For tests.", Sub: []Command{
			{Name: "sleep", Arity: 3, Flags: "admin noscript loading stale", Syntax: "seconds", Summary: "Makes this connection wait.", Complexity: "O(1)", parse: parseDebugSleep},
		}},
	}
	return grouped("server", "", rows)
}

func parseTime(*parser) request {
	return request{local: func(c *call) {
		now := c.s.h.now()
		c.w.Array(2)
		c.w.BulkString(itoa(now.Unix()))
		c.w.BulkString(itoa(int64(now.Nanosecond() / 1000)))
	}}
}

func parseRole(*parser) request {
	return request{local: func(c *call) {
		c.w.Array(3)
		c.w.BulkString("master")
		c.w.Int(0)
		c.w.Array(0)
	}}
}

// parseWait answers from how many nodes make a quorum.
func parseWait(p *parser) request {
	p.int()
	timeout, ok := parseInt(p.next())
	switch {
	case !ok:
		p.fail("ERR timeout is not an integer or out of range")
	case timeout < 0:
		p.fail(errTimeoutMinus)
	}
	return request{local: func(c *call) { c.w.Int(int64(c.s.h.backend.Info().Replicas / 2)) }}
}

// parseWaitAOF is WAIT where the local disk counts apart.
func parseWaitAOF(p *parser) request {
	local := p.int()
	if local < 0 || local > 1 {
		p.fail("ERR value is out of range, value must between 0 and 1")
	}
	wait := parseWait(p)
	return request{local: func(c *call) {
		c.w.Array(2)
		c.w.Int(1)
		wait.local(c)
	}}
}

func parseLastSave(*parser) request {
	return request{local: func(c *call) { c.w.Int(c.s.h.now().Unix()) }}
}

func parseLolwut(*parser) request {
	return request{local: func(c *call) {
		info := c.s.h.backend.Info()
		c.w.Verbatim("txt", "~~~~~ /|\\ ~~~~~ locks hold, waves break ~~~~~\n"+info.Program+" ver. "+info.Version+"\n")
	}}
}

// sleepMax bounds DEBUG SLEEP.
const sleepMax = time.Hour

func parseDebugSleep(p *parser) request {
	seconds, ok := parseFloat(p.next())
	switch {
	case !ok || seconds > sleepMax.Seconds():
		p.fail(errTimeoutFloat)
	case seconds < 0:
		p.fail(errTimeoutMinus)
	}
	return request{run: func(ctx context.Context, c *call) error {
		select {
		case <-c.s.h.after(time.Duration(seconds * float64(time.Second))):
		case <-ctx.Done():
		}
		c.w.SimpleString("OK")
		return nil
	}}
}

// parseHelp lists the subcommands of a container.
func parseHelp(container string) func(p *parser) request {
	return func(p *parser) request {
		row := p.h.table.byName[container]
		return request{local: func(c *call) {
			name := strings.ToUpper(container)
			c.w.Array(1 + 2*len(row.Sub))
			c.w.SimpleString(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
			for i := range row.Sub {
				c.w.SimpleString(strings.TrimSpace(strings.ToUpper(row.Sub[i].Name) + " " + row.Sub[i].Syntax))
				c.w.SimpleString("    " + row.Sub[i].Summary)
			}
		}}
	}
}
