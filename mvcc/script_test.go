package mvcc_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
	"kahuna/storage"
)

func TestScripts(t *testing.T) {
	storetest.Scripts(t, "testdata", func(t *testing.T) storetest.Player {
		return &player{t: t, store: storetest.Open(t, t.TempDir())}
	})
}

// player runs scripts. Names are SPACE:KEY or SPACE:KEY/SUB, or KEY alone for a key; a value #N is N times the letter x. A line
// may hold several commands with ";" between them: they run as one operation. Each line that writes is an operation at the
// millisecond after the latest one, unless "at TIME" came first.
//
//	put NAME VALUE [until TIME] [norev]     expire NAME TIME     delete NAME     get NAME     sweep NAME TIME
//	step                                    the next command of the line has a timestamp of its own
//	read NAME TIME|latest                   versions NAME TIME|latest     scan TIME|latest
//	lay TXN NAME VALUE|deleted [until TIME] resolve TXN NAME TIME|aborted
//	collect SAFE-POINT [paged]              removes keys' versions, with paged one at a time
//	unchanged TXN NAME TIME                 range TXN PREFIX COMMIT-TIME
type player struct {
	t     *testing.T
	store *storage.Store
	now   op.Timestamp
	last  op.Timestamp
	next  op.Timestamp
	work  mvcc.Working
}

func (p *player) State() string { return storetest.Dump(p.t, p.store) }

func (p *player) Run(words []string) string {
	if words[0] == "at" {
		p.next = parseTime(words[1])
		return ""
	}
	a := viewtest.NewArgs(words[1:])
	switch words[0] {
	case "read", "versions", "scan", "unchanged", "range":
		snap := p.store.Snapshot()
		defer snap.Close()
		return p.read(snap, words[0], a)
	}
	if words[0] == "collect" {
		return p.collect(a)
	}
	p.tick()
	switch words[0] {
	case "lay", "resolve":
		return p.write(func(w mvcc.Writer) (string, error) { return p.transact(w, words[0], a) })
	}
	commands := strings.Split(strings.Join(words, " "), ";")
	p.work.Reset(nil, p.now)
	return p.write(func(w mvcc.Writer) (string, error) {
		p.work.ResetRange(w.Batch, p.now, 1+strings.Count(strings.Join(words, " "), "step"))
		return p.operation(w, commands)
	})
}

// tick goes to the time of the next operation: the one that was set, else the millisecond after the latest.
func (p *player) tick() {
	p.last = max(p.last, p.now)
	if p.now, p.next = p.next, 0; p.now == 0 {
		p.now = (p.last>>op.CounterBits + 1) << op.CounterBits
	}
}

// write runs f on a batch, which is thrown away when f fails.
func (p *player) write(f func(w mvcc.Writer) (string, error)) string {
	b := p.store.NewBatch()
	defer b.Discard()
	var told []string
	w := mvcc.Writer{Batch: b, Notify: func(c mvcc.Change) {
		told = append(told, fmt.Sprintf("changed %s live %v, was %v", storetest.Name(c.Name), !c.Record.Deleted, c.WasLive))
	}}
	answer, err := f(w)
	if err != nil {
		return errorText(err)
	}
	if err := b.Commit(); err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(append([]string{answer}, told...), "; ")
}

func (p *player) operation(w mvcc.Writer, commands []string) (string, error) {
	var answers []string
	for _, c := range commands {
		words := strings.Fields(c)
		answer, err := p.one(words[0], viewtest.NewArgs(words[1:]))
		if err != nil {
			return "", err
		}
		answers = append(answers, answer)
	}
	return strings.Join(answers, "; "), p.work.Flush(w)
}

func (p *player) one(command string, a *viewtest.Args) (string, error) {
	defer a.End()
	if command == "step" {
		p.work.Step()
		return "at " + viewtest.Time(p.work.Now()), nil
	}
	n := parseName(a.Word())
	switch command {
	case "put":
		rec := mvcc.Record{Type: mvcc.TypeString, Value: parseValue(a.Word())}
		if a.Is("until") {
			rec.ExpireAt = parseTime(a.Word())
		}
		rec.NoRev = a.Is("norev")
		got, err := p.work.Put(n, rec)
		return fmt.Sprintf("rev %d", got.Rev), err
	case "expire":
		return "expires", p.work.PutExpiry(n, parseTime(a.Word()))
	case "delete":
		rev, err := p.work.Delete(n)
		return fmt.Sprintf("rev %d", rev), err
	case "get":
		rec, live, err := p.work.Get(n)
		return recordText(rec, live), err
	case "sweep":
		done, err := p.work.Sweep(n, parseTime(a.Word()))
		return fmt.Sprint("swept ", done), err
	}
	panic("no command " + command)
}

func (p *player) transact(w mvcc.Writer, command string, a *viewtest.Args) (string, error) {
	defer a.End()
	txn, n := parseTime(a.Word()), parseName(a.Word())
	if command == "resolve" {
		at := a.Word()
		if at == "aborted" {
			there, err := w.Resolve(n, txn, false, 0)
			return fmt.Sprint("resolved ", there), err
		}
		there, err := w.Resolve(n, txn, true, parseTime(at))
		return fmt.Sprint("resolved ", there), err
	}
	write := op.Write{Name: n, Type: byte(mvcc.TypeString), Deleted: a.Is("deleted")}
	if !write.Deleted {
		write.Value = parseValue(a.Word())
	}
	if a.Is("until") {
		write.ExpireAt = parseTime(a.Word())
	}
	home := op.Key([]byte("home"))
	if _, err := mvcc.Admit(w.Batch, txn, txn, home, &write); err != nil {
		return "", err
	}
	return "laid", w.Lay(p.now, txn, home, write)
}

func (p *player) collect(a *viewtest.Args) (text string) {
	safe, limits := parseTime(a.Word()), mvcc.CollectLimits{Bytes: 1 << 20, Rows: 1 << 20}
	if a.Is("paged") {
		limits.Bytes = 0
	}
	a.End()
	for from := new(op.Position); from != nil; {
		text += p.write(func(w mvcc.Writer) (string, error) {
			done, err := w.Collect(op.SpaceKey, *from, op.Position{}, safe, limits)
			from = done.Next
			return fmt.Sprintf("collected %d. ", done.Versions), err
		})
	}
	return strings.TrimSpace(text)
}

func (p *player) read(r mvcc.Reader, command string, a *viewtest.Args) string {
	defer a.End()
	switch command {
	case "unchanged":
		txn, n := parseTime(a.Word()), parseName(a.Word())
		same, err := mvcc.Unchanged(r, op.Seen{Name: n, TS: parseTime(a.Word())}, txn)
		return answer(fmt.Sprint("unchanged ", same), err)
	case "range":
		txn, s := parseTime(a.Word()), op.ScanSeen{Space: op.SpaceKey, Prefix: a.Bytes()}
		same, err := mvcc.UnchangedRange(r, &s, txn, txn, parseTime(a.Word()))
		return answer(fmt.Sprint("unchanged ", same), err)
	case "scan":
		return p.scan(mvcc.NewAt(r, parseTime(a.Word())))
	}
	n := parseName(a.Word())
	v := mvcc.NewAt(r, parseTime(a.Word()))
	if command == "read" {
		rec, live, err := v.Get(n)
		return answer(recordText(rec, live), err)
	}
	var all []string
	err := v.Versions(n, func(rec mvcc.Record, lost bool) (bool, error) {
		text := recordText(rec, !rec.Deleted)
		if lost {
			text += " lost"
		}
		all = append(all, text)
		return true, nil
	})
	return answer(strings.Join(all, "; "), err)
}

func (p *player) scan(v *mvcc.At) string {
	var all []string
	for sp := op.SpaceKey; sp <= op.SpaceIdem; sp++ {
		err := v.Scan(sp, op.Position{}, op.Position{}, func(n op.Name, rec mvcc.Record) (bool, error) {
			all = append(all, storetest.Name(n)+" "+recordText(rec, true))
			return true, nil
		})
		if err != nil {
			return errorText(err)
		}
	}
	return strings.Join(all, "; ")
}

func recordText(rec mvcc.Record, live bool) string {
	if !live {
		return fmt.Sprintf("absent rev %d", rec.Rev)
	}
	text := fmt.Sprintf("rev %d at %s", rec.Rev, viewtest.Time(rec.TS))
	if rec.ExpireAt > 0 {
		text += " until " + viewtest.Time(rec.ExpireAt)
	}
	return text + " " + storetest.Value(rec.Value)
}

func answer(text string, err error) string {
	if err != nil {
		return errorText(err)
	}
	return text
}

func errorText(err error) string {
	var met *mvcc.IntentError
	if errors.As(err, &met) {
		i := met.Intent
		return fmt.Sprintf("intent of %s at %s, prewritten %s, home %s", viewtest.Time(i.Txn), storetest.Name(i.Name),
			viewtest.Time(i.Prewritten), storetest.Name(i.Home))
	}
	return "error: " + err.Error()
}

func parseName(s string) op.Name {
	n := op.Name{Space: op.SpaceKey}
	for sp, name := range []string{op.SpaceLock: "lock:", op.SpaceSeq: "seq:", op.SpaceIdem: "idem:"} {
		if rest, ok := strings.CutPrefix(s, name); ok && name != "" {
			n.Space, s = op.Space(sp), rest
		}
	}
	key, sub, _ := strings.Cut(s, "/")
	n.Key = []byte(key)
	if sub != "" {
		n.Sub = []byte(sub)
	}
	return n
}

func parseTime(s string) op.Timestamp {
	if s == "latest" {
		return mvcc.Latest
	}
	ts, err := viewtest.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return ts
}

func parseValue(s string) []byte {
	if n, err := strconv.Atoi(strings.TrimPrefix(s, "#")); err == nil && s[0] == '#' {
		return []byte(strings.Repeat("x", n))
	}
	return []byte(s)
}
