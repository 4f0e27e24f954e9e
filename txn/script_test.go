package txn_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
	"kahuna/storage"
	"kahuna/txn"
)

func TestScripts(t *testing.T) {
	storetest.Scripts(t, "testdata", func(t *testing.T) storetest.Player {
		return &player{t: t, store: storetest.Open(t, t.TempDir())}
	})
}

// player runs scripts. A transaction is named by its start. The home name is "home". Each command is an entry at the
// millisecond after the one before, or at the time of "at TIME" before it.
//
//	put NAME VALUE                                    a plain write
//	prewrite TXN [home DEADLINE] NAME=VALUE...        NAME= deletes
//	check TXN NAME@SEEN... [range PREFIX]             at the latest state
//	decide TXN AT     settle TXN [abort]     resolve TXN AT|aborted NAME...     forget TXN
type player struct {
	t     *testing.T
	store *storage.Store
	now   op.Timestamp
	next  op.Timestamp
}

func (p *player) State() string { return storetest.Dump(p.t, p.store) }

var home = op.Key([]byte("home"))

func (p *player) Run(words []string) string {
	if words[0] == "at" {
		p.next = timeOf(words[1])
		return ""
	}
	p.now, p.next = max(p.next, (p.now>>op.CounterBits+1)<<op.CounterBits), 0
	b := p.store.NewBatch()
	defer b.Discard()
	res, err := p.apply(mvcc.Writer{Batch: b}, words[0], viewtest.NewArgs(words[1:]))
	if err == nil {
		err = b.Commit()
	}
	return show(res, err)
}

func (p *player) apply(w mvcc.Writer, command string, a *viewtest.Args) (op.Result, error) {
	if command == "put" {
		var work mvcc.Working
		work.Reset(w.Batch, p.now)
		_, err := work.Put(op.Key(a.Bytes()), mvcc.Record{Type: mvcc.TypeString, Value: a.Bytes()})
		return op.Result{Done: true}, errors.Join(err, work.Flush(w))
	}
	id := timeOf(a.Word())
	switch command {
	case "prewrite":
		return txn.Prewrite(w, p.now, prewrite(id, a), id)
	case "check":
		return txn.Check(w.Batch, check(id, a), id)
	case "decide":
		return txn.Decide(w.Batch, p.now, &op.Decide{Txn: id, Home: home, At: timeOf(a.Word())})
	case "settle":
		return txn.Settle(w.Batch, p.now, &op.Settle{Txn: id, Home: home, Abort: a.Is("abort")})
	case "forget":
		return txn.Forget(w.Batch, &op.Forget{Txn: id, Home: home})
	case "resolve":
		o := &op.Resolve{Txn: id}
		if at := a.Word(); at != "aborted" {
			o.Committed, o.At = true, timeOf(at)
		}
		for _, name := range rest(a) {
			o.Names = append(o.Names, op.Key([]byte(name)))
		}
		return txn.Resolve(w, o)
	}
	panic("no command " + command)
}

func prewrite(id op.TxnID, a *viewtest.Args) *op.Prewrite {
	o := &op.Prewrite{Txn: id, Home: home}
	if o.AtHome = a.Is("home"); o.AtHome {
		o.Deadline = timeOf(a.Word())
	}
	for _, word := range rest(a) {
		name, value, _ := strings.Cut(word, "=")
		n := op.Key([]byte(name))
		o.Writes = append(o.Writes, op.Write{Name: n, Type: byte(mvcc.TypeString), Value: []byte(value), Deleted: value == ""})
		if o.AtHome {
			o.Names = append(o.Names, n)
		}
	}
	return o
}

func check(id op.TxnID, a *viewtest.Args) *op.Check {
	o := &op.Check{Txn: id}
	words := rest(a)
	for i, word := range words {
		if word == "range" {
			o.Scans = []op.ScanSeen{{Space: op.SpaceKey, Prefix: []byte(words[i+1])}}
			break
		}
		name, at, _ := strings.Cut(word, "@")
		o.Reads = append(o.Reads, op.Seen{Name: op.Key([]byte(name)), TS: timeOf(at)})
	}
	return o
}

func rest(a *viewtest.Args) (words []string) {
	defer func() { _ = recover() }() // Word panics at the end
	for {
		words = append(words, a.Word())
	}
}

func timeOf(s string) op.Timestamp {
	ts, err := viewtest.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return ts
}

func show(r op.Result, err error) string {
	var met *mvcc.IntentError
	switch {
	case errors.As(err, &met):
		return fmt.Sprintf("blocked by %s at %s", viewtest.Time(met.Intent.Txn), storetest.Name(met.Intent.Name))
	case err != nil:
		return "error: " + err.Error()
	case r.Status == op.Conflict:
		return "conflict"
	case r.Status == op.Aborted:
		return "aborted"
	case r.Txn != nil:
		return "it is " + storetest.Status(r.Txn.Status)
	}
	out := "not done"
	if r.Done {
		out = "done"
	}
	if r.TS > 0 {
		out += " at " + viewtest.Time(r.TS)
	}
	if r.Int > 0 {
		out += fmt.Sprintf(", %d intents", r.Int)
	}
	return out
}
