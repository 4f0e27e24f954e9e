package work

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/cluster/remote"
	"kahuna/tests/e2e/wire"
	"kahuna/tests/listappend"
)

// Appends is transactions that append to lists and read them: EXEC, scripts, BEGIN in both modes and read only, and plain commands
// between them.
type Appends struct {
	w      *load.World
	prefix string
	value  atomic.Int64

	finishing time.Time // since when Finish is called

	mu      sync.Mutex
	txns    []listappend.Txn
	unclear []unclear
	told    map[op.Timestamp]string // what TXNSTATUS has said that is final
	keys    map[string]bool         // lists that were touched
	read    map[string]bool         // lists that Finish has read
}

// unclear is a transaction whose COMMIT was not answered.
type unclear struct {
	txn   int
	start op.Timestamp
}

// NewAppends makes the work on keys that begin with prefix.
func NewAppends(w *load.World, prefix string) *Appends {
	return &Appends{w: w, prefix: prefix, told: map[op.Timestamp]string{}, keys: map[string]bool{}, read: map[string]bool{}}
}

const (
	listsInUse   = 6
	valuesPerSet = 160 // then there are other lists, so that they stay short
)

// key names a list. Some have their slot in common.
func (a *Appends) key(k int) string {
	set := a.value.Load() / valuesPerSet
	if k < listsInUse/2 {
		return fmt.Sprintf("%s%d.{%d}.%d", a.prefix, set, set, k)
	}
	return fmt.Sprintf("%s%d.%d", a.prefix, set, k)
}

// Step runs one transaction.
func (a *Appends) Step(c *Client) {
	way := ways[c.Rng.IntN(len(ways))]
	x := a.draw(c, way)
	x.Start = since(a.w)
	lists, end, start := way.run(c, &x)
	x.End = since(a.w)
	switch {
	case end == load.Unknown:
		x.Status, x.End = listappend.Unknown, math.MaxInt64
	case end == load.Denied:
		x.Status = listappend.Aborted
	default:
		a.fill(&x, lists)
	}
	if end != load.Answered {
		c.Leave()
	}
	a.add(x, start)
	if end == load.Unknown && start > 0 {
		a.ask(c, start) // early: what it says must stay so
	}
	if end == load.Answered {
		a.w.Count("answered by "+c.Target().Name(), 1)
		a.w.Count("append "+way.name, 1)
	}
}

func (a *Appends) draw(c *Client, way way) (x listappend.Txn) {
	n := 1 + c.Rng.IntN(4)
	if way.plain {
		n = 1
	}
	for range n {
		o := listappend.Op{Key: a.key(c.Rng.IntN(listsInUse)), Append: !way.reads && c.Rng.IntN(2) == 0}
		if o.Append {
			o.Value = int(a.value.Add(1))
		}
		x.Ops = append(x.Ops, o)
	}
	return x
}

func (a *Appends) fill(x *listappend.Txn, lists []*wire.Reply) {
	for i := range x.Ops {
		if !x.Ops[i].Append {
			x.Ops[i].List = listOf(lists[i])
		}
	}
}

func (a *Appends) add(x listappend.Txn, start op.Timestamp) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.Status == listappend.Unknown && start > 0 {
		a.unclear = append(a.unclear, unclear{len(a.txns), start})
	}
	for _, o := range x.Ops {
		a.keys[o.Key] = true
	}
	a.txns = append(a.txns, x)
}

func listOf(r *wire.Reply) []int {
	if r.Nil() {
		return nil
	}
	return values(r.Text)
}

// values is a list as it is stored.
func values(s string) (all []int) {
	for part := range strings.SplitSeq(strings.TrimSuffix(s, ","), ",") {
		if v, err := strconv.Atoi(part); err == nil {
			all = append(all, v)
		} else if part != "" {
			all = append(all, -1) // nobody writes this
		}
	}
	return all
}

func command(o listappend.Op) []string {
	if o.Append {
		return []string{"APPEND", o.Key, fmt.Sprint(o.Value, ",")}
	}
	return []string{"GET", o.Key}
}

// way is how a transaction is run. run gives a reply for each operation, and the start timestamp if TXNSTATUS can be asked for it.
type way struct {
	name  string
	plain bool // one operation only
	reads bool // reads only
	run   func(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp)
}

var ways = []way{
	{name: "plain", plain: true, run: func(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp) {
		r, end := c.Target().Call(command(x.Ops[0])...)
		return []*wire.Reply{r}, end, 0
	}},
	{name: "exec", run: runExec},
	{name: "exec", run: runExec},
	{name: "script", run: runScript},
	{name: "optimistic", run: func(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp) {
		return runSteps(c, x, "OPTIMISTIC")
	}},
	{name: "optimistic", run: func(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp) {
		return runSteps(c, x, "OPTIMISTIC")
	}},
	{name: "pessimistic", run: func(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp) {
		return runSteps(c, x, "PESSIMISTIC")
	}},
	{name: "readonly", reads: true, run: func(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp) {
		return runSteps(c, x, "READONLY")
	}},
}

func runExec(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp) {
	var commands [][]string
	for _, o := range x.Ops {
		commands = append(commands, command(o))
	}
	parts, end := c.Target().Exec(commands...)
	return parts, end, 0
}

// script does what its arguments say: a key for each, and a value to append or nothing.
const script = `local out = {} for i = 1, #KEYS do if ARGV[i] == '' then out[i] = redis.call('GET', KEYS[i]) or ''
else redis.call('APPEND', KEYS[i], ARGV[i]) out[i] = '' end end return out`

func runScript(c *Client, x *listappend.Txn) ([]*wire.Reply, load.Outcome, op.Timestamp) {
	args := []string{"EVAL", script, fmt.Sprint(len(x.Ops))}
	for _, o := range x.Ops {
		args = append(args, o.Key)
	}
	for _, o := range x.Ops {
		value := ""
		if o.Append {
			value = fmt.Sprint(o.Value, ",")
		}
		args = append(args, value)
	}
	r, end := c.Target().Call(args...)
	if end != load.Answered {
		return nil, end, 0
	}
	return r.Parts, end, 0
}

// runSteps runs an interactive transaction. What is not committed for certain by the time of its COMMIT never is.
func runSteps(c *Client, x *listappend.Txn, mode string) (all []*wire.Reply, end load.Outcome, start op.Timestamp) {
	start, ok := begin(c, mode)
	if !ok {
		return nil, load.Denied, 0
	}
	for _, o := range x.Ops {
		if c.Rng.IntN(3) == 0 {
			linger(c, 30)
		}
		r, end := c.Target().Call(command(o)...)
		if end != load.Answered {
			rollback(c)
			return nil, load.Denied, 0
		}
		all = append(all, r)
	}
	_, end = c.Target().Call("COMMIT")
	return all, end, start
}

func begin(c *Client, mode string) (op.Timestamp, bool) {
	r, end := c.Target().Call("BEGIN", mode)
	if end != load.Answered {
		c.Target().Close() // whether it has begun is not known
		return 0, false
	}
	return op.Timestamp(r.Int), true
}

// rollback ends a transaction for certain: with its connection.
func rollback(c *Client) { c.Target().Close() }

// linger rests within a transaction.
func linger(c *Client, most int) { <-time.After(time.Duration(c.Rng.IntN(most)) * time.Millisecond) }

// ask asks what became of a transaction. What is final must stay so.
func (a *Appends) ask(c *Client, start op.Timestamp) (state string, ok bool) {
	r, end := c.Target().Call("TXNSTATUS", fmt.Sprint(uint64(start)))
	if end != load.Answered {
		c.Leave()
		return "", false
	}
	state = r.Parts[0].Text
	if state != "committed" && state != "aborted" {
		return state, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if before := a.told[start]; before != "" && before != state {
		a.w.Fail("TXNSTATUS %d said %s, and later %s", start, before, state)
	}
	a.told[start] = state
	return state, true
}

// pendingMax is for how long a transaction may stay pending that has a record. One that was lost with its node before it had any is
// pending for as long as it might have lasted; it is judged as one that may have taken effect or not.
const pendingMax = 30 * time.Second

// Finish asks what became of transactions whose end is not known, and reads all lists, when nobody writes any more. missing tells what
// could not be asked yet: it is to be called again then.
func (a *Appends) Finish(c *Client) (missing error) {
	if a.finishing.IsZero() {
		a.finishing = time.Now()
	}
	for len(a.unclear) > 0 {
		u := a.unclear[0]
		state, ok := a.ask(c, u.start)
		switch {
		case !ok:
			return fmt.Errorf("TXNSTATUS %d has no answer", u.start)
		case state == "committed":
			a.txns[u.txn].Status, a.txns[u.txn].End = listappend.Committed, since(a.w)
			if !allAppends(&a.txns[u.txn]) {
				a.txns[u.txn].Ops = appendsOf(&a.txns[u.txn]) // what it read was not kept
			}
		case state == "aborted":
			a.txns[u.txn].Status = listappend.Aborted
		case state == "pending" && time.Since(a.finishing) < pendingMax:
			return fmt.Errorf("the transaction of %d is pending", u.start)
		}
		a.w.Count("txnstatus "+state, 1)
		a.unclear = a.unclear[1:]
	}
	return a.readAll(c)
}

func allAppends(x *listappend.Txn) bool { return len(appendsOf(x)) == len(x.Ops) }

func appendsOf(x *listappend.Txn) (ops []listappend.Op) {
	for _, o := range x.Ops {
		if o.Append {
			ops = append(ops, o)
		}
	}
	return ops
}

func (a *Appends) readAll(c *Client) error {
	for key := range a.keys {
		if a.read[key] {
			continue
		}
		x := listappend.Txn{Ops: []listappend.Op{{Key: key}}, Start: since(a.w)}
		r, end := c.Target().Call("GET", key)
		if end != load.Answered {
			c.Leave()
			return fmt.Errorf("GET %s has no answer", key)
		}
		x.End, x.Ops[0].List = since(a.w), listOf(r)
		a.txns = append(a.txns, x)
		a.read[key] = true
	}
	return nil
}

// Verdict judges all transactions.
func (a *Appends) Verdict() (found []string) {
	v := listappend.Check(a.txns)
	for _, an := range v.Anomalies {
		found = append(found, "append: "+an.Kind+": "+an.Text)
	}
	a.w.Count("append transactions", len(a.txns))
	a.w.Count("dependencies ww", v.WW)
	a.w.Count("dependencies wr", v.WR)
	a.w.Count("dependencies rw", v.RW)
	return found
}

// Keys are the lists that were touched.
func (a *Appends) Keys() []string { return slices.Sorted(maps.Keys(a.keys)) }

// History is a line for each transaction.
func (a *Appends) History() (lines []string) {
	for i, x := range a.txns {
		lines = append(lines, fmt.Sprintf("%d %+v", i, x))
	}
	return lines
}

var _ remote.Judge = (*load.World)(nil)
