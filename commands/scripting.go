package commands

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kahuna/acl"
	"kahuna/cluster"
	"kahuna/resp"
	"kahuna/script"
)

// Texts of Redis about scripts.
const (
	errNoScript    = "NOSCRIPT No matching script. Please use EVAL."
	errKeysMinus   = "ERR Number of keys can't be negative"
	errKeysMany    = "ERR Number of keys can't be greater than number of args"
	errNotBusy     = "NOTBUSY No scripts in execution right now."
	errFlushOption = "ERR SCRIPT FLUSH only support SYNC|ASYNC option"
)

func scriptingRows() []Command {
	const flags, access = "noscript stale movablekeys", "RW access update"
	run := func(name, since, text string, readOnly, bySHA bool) Command {
		c := Command{Name: name, Arity: -3, Flags: flags, Since: since, NumKeysAt: 2, Access: access, parse: parseEval(readOnly, bySHA),
			Syntax: "script numkeys [key [key ...]] [arg [arg ...]]", Summary: text, Complexity: "Depends on the script that is executed."}
		if bySHA {
			c.Syntax = "sha1 numkeys [key [key ...]] [arg [arg ...]]"
		}
		if readOnly {
			c.Flags, c.Access = flags+" readonly", "RO access"
		}
		return c
	}
	return grouped("scripting", "scripting", []Command{
		functionRow(),
		run("eval", "2.6.0", "Runs a Lua script as one transaction, over any keys.", false, false),
		run("evalsha", "2.6.0", "Runs a script that any node knows, by the SHA1 of its text.", false, true),
		run("eval_ro", "7.0.0", "As EVAL, for scripts that do not write.", true, false),
		run("evalsha_ro", "7.0.0", "As EVALSHA, for scripts that do not write.", true, true),
		{Name: "script", Arity: -2, Flags: "noscript", Since: "2.6.0", Complexity: "Depends on subcommand.", Summary: "About the scripts that the nodes know.",
			parse: parseHelp("script"), Sub: []Command{
				{Name: "load", Arity: 3, Flags: "noscript stale", Syntax: "script", Since: "2.6.0", Complexity: "O(N) with N being the length of the script", Summary: "Keeps a script for EVALSHA on any node, and gives its SHA1.", parse: parseScriptLoad},
				{Name: "exists", Arity: -3, Flags: "noscript", Syntax: "sha1 [sha1 ...]", Since: "2.6.0", Complexity: "O(N) with N being the number of scripts", Summary: "1 for each script that is known, else 0.", parse: parseScriptExists},
				{Name: "flush", Arity: -2, Flags: "noscript", Syntax: "[ASYNC | SYNC]", Since: "2.6.0", Complexity: "O(N) with N being the number of scripts", Summary: "Forgets all scripts, on all nodes.", parse: parseScriptFlush},
				{Name: "kill", Arity: 2, Flags: "noscript allow_busy", Since: "2.6.0", Complexity: "O(1)", Summary: "Ends the scripts that run on this node; what they did has no effect.", parse: parseScriptKill},
				{Name: "help", Arity: 2, Flags: "loading stale", Since: "5.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("script")},
			}},
	})
}

// keyCount reads the number of keys, and sees that there are as many.
func keyCount(a []byte, rest int) (n int, err string) {
	v, ok := parseInt(a)
	switch {
	case !ok:
		return 0, errNotInteger
	case v < 0:
		return 0, errKeysMinus
	case v > int64(rest):
		return 0, errKeysMany
	}
	return int(v), ""
}

// evaluation is one EVAL or EVALSHA.
type evaluation struct {
	body     string // the script, or
	sha      string // its name
	bySHA    bool
	keys     [][]byte
	args     [][]byte
	readOnly bool
}

func parseEval(readOnly, bySHA bool) func(p *parser) request {
	return func(p *parser) request {
		name, count := p.next(), p.next()
		n, err := keyCount(count, len(p.args))
		if err != "" {
			p.fail(err)
			return request{}
		}
		e := evaluation{keys: p.args[:n], args: p.args[n:], readOnly: readOnly, bySHA: bySHA}
		if bySHA {
			e.sha = lower(name)
		} else {
			e.body = string(name)
		}
		return request{run: e.run}
	}
}

func (e *evaluation) run(ctx context.Context, c *call) error {
	all := &c.s.h.scripts
	var s *script.Script
	var err error
	if e.bySHA {
		s, err = all.find(ctx, e.sha)
	} else {
		s, err = all.compiled(e.body)
	}
	if err != nil {
		return err
	}
	var saving sync.WaitGroup
	if all.toSave(s.SHA) {
		saving.Go(func() {
			if all.store.Save(ctx, s.SHA, s.Body) != nil {
				all.unsaved(s.SHA) // the next one tries again
			}
		})
	}
	err = e.execute(ctx, c, s)
	saving.Wait()
	return err
}

// execute runs a script as one transaction, or as a part of the one around it.
func (e *evaluation) execute(ctx context.Context, c *call, s *script.Script) error {
	if e.readOnly && !c.inTxn {
		at, err := c.snapshot(ctx)
		if err != nil {
			return err
		}
		return e.once(ctx, at, s)
	}
	mark, proto := c.w.Len(), c.w.Proto()
	return c.transact(ctx, func(tx *call) error {
		c.w.Truncate(mark)
		c.w.SetProto(proto)
		return e.once(ctx, tx, s)
	})
}

// once runs a script one time.
func (e *evaluation) once(ctx context.Context, tx *call, s *script.Script) error {
	host := &scriptHost{ctx: ctx, tx: tx, readOnly: e.readOnly || s.NoWrite}
	err := tx.s.h.scripts.engine.Run(ctx, s, host, e.keys, e.args, tx.w)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: the connection or the server is closing", cluster.ErrTryAgain)
	}
	return err
}

// scriptHost executes the commands of a script in the transaction that the script is.
type scriptHost struct {
	ctx      context.Context
	tx       *call
	readOnly bool
	call     call // used again for each command
	request  request
}

// Texts of Redis for commands that a script may not call.
const (
	errScriptUnknown = "ERR Unknown Redis command called from script"
	errScriptArity   = "ERR Wrong number of args calling Redis command from script"
	errScriptDenied  = "ERR This Redis command is not allowed from script"
	errScriptWrites  = "ERR Write commands are not allowed from read-only scripts."
)

// resolve is THE PLACE where it is decided which row a call of a script means, and whether the script may call it.
func (h *scriptHost) resolve(args [][]byte) (row *Command, skip int, err string) {
	row = h.tx.s.h.table.find(args[0])
	skip = 1
	if row != nil && len(row.Sub) > 0 && len(args) > 1 {
		row, skip = row.sub(args[1]), 2
	}
	switch {
	case row == nil:
		err = errScriptUnknown
	case !row.takes(len(args)):
		err = errScriptArity
	case row.direct != nil || row.has("noscript"):
		err = errScriptDenied
	case h.readOnly && (row.has("write") || row.publishes()):
		err = errScriptWrites
	}
	return row, skip, err
}

// publishes tells whether a command sends messages. To Redis that is a write, and here what only reads has no end at which they
// would be sent.
func (c *Command) publishes() bool { return c.Name == "publish" || c.Name == "spublish" }

// Call executes one command.
func (h *scriptHost) Call(args [][]byte, reply *resp.Writer) error {
	row, skip, problem := h.resolve(args)
	if problem != "" {
		reply.Error(problem)
		return nil
	}
	if denied := h.tx.s.Allowed(row, args); denied != nil {
		reply.Error(denied.Error())
		return nil
	}
	if monitors := &h.tx.s.h.monitors; monitors.n.Load() > 0 {
		monitors.feedScripted(h.tx.s, row, args)
	}
	h.request = h.tx.s.parse(row, args[skip:])
	h.call = call{s: h.tx.s, w: reply, d: h.tx.d, inTxn: true}
	err := h.call.perform(h.ctx, &h.request)
	var user userError
	if errors.As(err, &user) {
		reply.Reset()
		reply.Error(string(user))
		return nil
	}
	return err
}

// Allowed tells whether the user may execute a command, in a script or not.
func (h *scriptHost) Allowed(args [][]byte) (allowed, known bool) {
	row, _, err := h.resolve(args)
	if err == errScriptUnknown || err == errScriptArity {
		return false, false
	}
	user := h.tx.s.entry.Load().User()
	if user == nil {
		return false, true
	}
	why, _ := check(user, row, args)
	return why == acl.Nothing, true
}

// Log takes a line of redis.log.
func (h *scriptHost) Log(level int, line string) {
	if log := h.tx.s.h.scripts.log; log != nil {
		log(level, line)
	}
}

func parseScriptLoad(p *parser) request {
	body := string(p.next())
	return request{run: func(ctx context.Context, c *call) error {
		s, err := c.s.h.scripts.load(ctx, body)
		if err == nil {
			c.w.BulkString(s.SHA)
		}
		return err
	}}
}

func parseScriptExists(p *parser) request {
	names := p.words()
	return request{run: func(ctx context.Context, c *call) error {
		known := make([]bool, len(names))
		for i, name := range names {
			var err error
			if known[i], err = c.s.h.scripts.exists(ctx, lower(name)); err != nil {
				return err
			}
		}
		c.w.Array(len(known))
		for _, k := range known {
			writeFlag(c.w, k)
		}
		return nil
	}}
}

func parseScriptFlush(p *parser) request {
	if len(p.args) > 1 || len(p.args) == 1 && !p.is("SYNC") && !p.is("ASYNC") {
		p.fail(errFlushOption)
	}
	return request{run: func(ctx context.Context, c *call) error {
		err := c.s.h.scripts.flush(ctx)
		if err == nil {
			c.w.SimpleString("OK")
		}
		return err
	}}
}

func parseScriptKill(*parser) request {
	return request{local: func(c *call) {
		if !c.s.h.scripts.engine.Kill() {
			c.w.Error(errNotBusy)
			return
		}
		c.w.SimpleString("OK")
	}}
}
