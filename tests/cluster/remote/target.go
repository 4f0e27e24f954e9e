// Package remote is nodes as clients reach them over RESP. It repeats nothing, and tells of each call how it ended: done, certainly not
// done, or unknown.
package remote

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/e2e/wire"
)

// callTimeout is how long a client waits for a reply; a server gives up before.
const callTimeout = 8 * time.Second

// Judge is told of what must not happen.
type Judge interface {
	Fail(format string, args ...any)
}

// Target is a node as one client reaches it, by one connection that is made anew when it breaks. Addresses stay. It belongs to one
// goroutine.
type Target struct {
	// LockWait is for how long a LOCK waits, every other time; 0: not at all.
	LockWait time.Duration

	locks int
	judge Judge
	name  string
	addr  string
	conn  *wire.Conn
}

// New makes the target for one client and a node at an address. judge is told of answers that no node may give.
func New(judge Judge, name, addr string) *Target {
	return &Target{judge: judge, name: name, addr: addr}
}

// Name is the node's.
func (t *Target) Name() string { return t.name }

// Connected tells whether the connection is as it was after the call before.
func (t *Target) Connected() bool { return t.conn != nil }

// Send has commands sent in one write, and gives their replies. end is Answered when all of them are there, Denied when nothing was
// sent.
func (t *Target) Send(commands ...[]string) (replies []*wire.Reply, end load.Outcome) {
	if t.conn == nil {
		c, err := wire.Dial(t.addr, time.Second)
		if err != nil {
			return nil, load.Denied // nothing was sent
		}
		t.conn = c.Patient(callTimeout)
	}
	if err := t.conn.Send(commands...); err != nil {
		t.Close()
		return nil, load.Unknown
	}
	for range commands {
		r, err := t.conn.Receive()
		if err != nil {
			t.Close()
			return replies, load.Unknown
		}
		replies = append(replies, r)
	}
	return replies, load.Answered
}

// Close ends the connection; the next call makes another one.
func (t *Target) Close() {
	if t.conn != nil {
		t.conn.Close()
		t.conn = nil
	}
}

// Outcome tells how a call ended by the text of its error.
func (t *Target) Outcome(call string, r *wire.Reply) load.Outcome {
	switch prefix, _, _ := strings.Cut(r.Err(), " "); prefix {
	case "":
		return load.Answered
	case "UNCERTAIN":
		return load.Unknown
	case "TRYAGAIN", "CLUSTERDOWN", "CONFLICT", "LOADING":
		return load.Denied
	}
	if strings.Contains(r.Err(), "was rolled back") {
		return load.Denied // outlived its timeout, or followed an error that said so
	}
	t.judge.Fail("%s: %s answers %s", t.name, call, r)
	return load.Unknown
}

// Call has one command done.
func (t *Target) Call(args ...string) (*wire.Reply, load.Outcome) {
	replies, end := t.Send(args)
	if end != load.Answered {
		return nil, end
	}
	return replies[0], t.Outcome(strings.Join(args, " "), replies[0])
}

// Do has one operation done.
func (t *Target) Do(o op.Op) (res op.Result, end load.Outcome) {
	command := Command(o)
	if _, lock := o.(*op.LockAcquire); lock && t.LockWait > 0 {
		if t.locks++; t.locks%2 == 0 {
			command = append(command, "WAIT", strconv.FormatInt(t.LockWait.Milliseconds(), 10))
		}
	}
	r, end := t.Call(command...)
	if end != load.Answered {
		return res, end
	}
	if res, err := result(o, r); err == nil {
		return res, end
	}
	t.judge.Fail("%s: %q answers %s", t.name, Command(o), r)
	return res, load.Unknown
}

// Exec has commands done as one transaction, and gives their replies.
func (t *Target) Exec(commands ...[]string) (parts []*wire.Reply, end load.Outcome) {
	all := append(append([][]string{{"MULTI"}}, commands...), []string{"EXEC"})
	replies, end := t.Send(all...)
	if end != load.Answered {
		return nil, end
	}
	exec := replies[len(replies)-1]
	if end := t.Outcome("EXEC", exec); end != load.Answered {
		return nil, end
	}
	if len(exec.Parts) != len(commands) {
		t.judge.Fail("%s: EXEC of %d commands answers %s", t.name, len(commands), exec)
		return nil, load.Unknown
	}
	for _, p := range exec.Parts {
		if t.Outcome("EXEC", p) != load.Answered {
			t.judge.Fail("%s: EXEC answers %s", t.name, exec)
			return nil, load.Unknown
		}
	}
	return exec.Parts, end
}

// Atomic has operations done as one transaction.
func (t *Target) Atomic(ops []op.Op) (results []op.Result, end load.Outcome) {
	var commands [][]string
	for _, o := range ops {
		commands = append(commands, Command(o))
	}
	parts, end := t.Exec(commands...)
	if end != load.Answered {
		return nil, end
	}
	for i, o := range ops {
		res, err := result(o, parts[i])
		if err != nil {
			t.judge.Fail("%s: EXEC answers %s: %v", t.name, fmt.Sprint(parts), err)
			return nil, load.Unknown
		}
		results = append(results, res)
	}
	return results, end
}

// Timestamps takes n timestamps.
func (t *Target) Timestamps(n int) (op.Timestamp, load.Outcome) {
	r, end := t.Call("TIMESTAMP", "COUNT", strconv.Itoa(n))
	if end != load.Answered {
		return 0, end
	}
	return op.Timestamp(r.Int), end
}
