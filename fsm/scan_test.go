package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kahuna/glob"
	"kahuna/mvcc"
	"kahuna/op"
)

func sorted(all []string) []byte {
	slices.Sort(all)
	return []byte(strings.Join(all, "\x00\x00"))
}

// names is a partition with random names, some deleted again, and the plain list of those that are there.
type names struct {
	*replica
	r    *rand.Rand
	from op.Position
	to   op.Position
	live map[string]string
}

func newNames(t *testing.T, seed uint64) *names {
	n := &names{r: rand.New(rand.NewPCG(seed, 4)), live: map[string]string{}}
	if seed%2 == 1 { // a part of a slot at either end
		n.from = op.Position{Slot: op.Slot([]byte("{t}")), Name: []byte("{t}3")}
		n.to = op.Position{Slot: op.Slots - 3, Name: []byte("m")}
	}
	n.replica = newReplica(t, n.from, n.to)
	for range 60 {
		var u Unit
		for range 10 {
			u = append(u, n.write())
		}
		n.do(u)
		for _, o := range u {
			n.note(o)
		}
	}
	return n
}

func (n *names) name() []byte {
	tail := fmt.Sprint(n.r.IntN(300))
	switch n.r.IntN(5) {
	case 0:
		return []byte("{t}" + tail)
	case 1:
		return fmt.Appendf(nil, "user:%d", n.r.IntN(20))
	case 2:
		return []byte("user:{t}" + tail)
	case 3:
		return []byte{byte(n.r.IntN(3)), byte(n.r.IntN(10))}
	}
	return fmt.Appendf(nil, "{%d}%s", n.r.IntN(20), tail)
}

// write is about a name that the partition owns.
func (n *names) write() op.Op {
	s := n.State()
	for {
		k := n.name()
		if !s.Owns(k) {
			continue
		}
		if n.r.IntN(4) == 0 {
			return &op.Delete{Key: k}
		}
		return &op.Set{Key: k, Value: bytes.Repeat([]byte("v"), n.r.IntN(40))}
	}
}

func (n *names) note(o op.Op) {
	switch o := o.(type) {
	case *op.Set:
		n.live[string(o.Key)] = string(o.Value)
	case *op.Delete:
		delete(n.live, string(o.Key))
	}
}

// scan makes a random scan of the partition or of a part of it.
func (n *names) scan() *op.Scan {
	o := &op.Scan{Space: op.SpaceKey, From: n.from, To: n.to, Limit: uint32(n.r.IntN(20)), ByName: n.r.IntN(2) == 0, Values: n.r.IntN(2) == 0}
	pick := func(list ...string) []byte { return []byte(list[n.r.IntN(len(list))]) }
	if n.r.IntN(2) == 0 {
		o.Prefix = pick("user:", "{t}", "u", "{2}", "zzz", "user:{t}1")
	}
	if n.r.IntN(3) == 0 {
		o.Match = pick("*1*", "*", "user:?", "{[12]}*", "no*")
	}
	if n.r.IntN(3) == 0 {
		o.MaxBytes = 1 + uint32(n.r.IntN(200))
	}
	if o.ByName && n.r.IntN(2) == 0 {
		o.Start, o.After = n.name(), n.r.IntN(2) == 0
	}
	if o.ByName && n.r.IntN(2) == 0 {
		o.End = n.name()
	}
	switch n.r.IntN(6) { // not all of the partition
	case 0:
		o.From = op.Position{Slot: max(n.from.Slot+1, uint16(n.r.IntN(op.Slots-10)))}
	case 1, 2:
		o.From = n.place()
	case 3:
		if to := n.place(); Compare(to, o.From) > 0 {
			o.To = to
		}
	}
	return o
}

// place is a position within the partition, in the middle of a slot.
func (n *names) place() op.Position {
	s := n.State()
	for {
		if k := n.name(); s.Owns(k) {
			return op.Position{Slot: op.Slot(k), Name: k}
		}
	}
}

// expected are the names that a scan has to give in all its pages together, in order.
func (n *names) expected(o *op.Scan) (all []string) {
	for k := range n.live {
		b := []byte(k)
		at := op.Position{Slot: op.Slot(b), Name: b}
		in := Compare(at, o.From) >= 0 && (IsEnd(o.To) || Compare(at, o.To) < 0) && bytes.HasPrefix(b, o.Prefix) &&
			(len(o.Match) == 0 || glob.Match(o.Match, b))
		if o.ByName {
			in = in && k >= string(o.Start) && !(o.After && k == string(o.Start)) && (len(o.End) == 0 || k < string(o.End))
		}
		if in {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		if o.ByName {
			return strings.Compare(a, b)
		}
		return Compare(op.Position{Slot: op.Slot([]byte(a)), Name: []byte(a)}, op.Position{Slot: op.Slot([]byte(b)), Name: []byte(b)})
	})
	return all
}

// pages runs a scan to its end, and sees that each page keeps to its limits and that Next is set when there is more only.
func (n *names) pages(t *testing.T, o op.Scan, want int) (all []string) {
	t.Helper()
	for range 1000 {
		res := n.read(&o)
		size := 0
		for i, it := range res.Items {
			if o.MaxBytes > 0 && size >= int(o.MaxBytes) {
				t.Fatalf("item %d of a page after %d bytes, limit %d", i, size, o.MaxBytes)
			}
			size += len(it.Key) + len(it.Value)
			if o.Values && string(it.Value) != n.live[string(it.Key)] || !o.Values && it.Value != nil {
				t.Fatalf("%q has %q", it.Key, it.Value)
			}
			all = append(all, string(it.Key))
		}
		if len(res.Items) > max(1, int(o.Limit)) || !res.Done {
			t.Fatalf("%d items, limit %d", len(res.Items), o.Limit)
		}
		if res.Next == nil {
			return all
		}
		if full := len(res.Items) >= max(1, int(o.Limit)) || o.MaxBytes > 0 && size >= int(o.MaxBytes); !full {
			t.Fatalf("a page of %d items and %d bytes is not full and not the last: %+v", len(res.Items), size, o)
		}
		if o.ByName {
			if len(all) == want {
				t.Fatalf("Next after the last name: %+v", o)
			}
			o.Start, o.After = res.Next.Name, true
		} else {
			o.From = *res.Next
		}
	}
	t.Fatalf("no end: %+v", o)
	return nil
}

// Random scans of random names: the pages together are the list that plain sorting and filtering gives.
func TestScansAgainstList(t *testing.T) {
	found, several := 0, 0
	for seed := range uint64(3) {
		n := newNames(t, seed)
		for range 50 {
			o := n.scan()
			want := n.expected(o)
			got := n.pages(t, *o, len(want))
			if !slices.Equal(got, want) {
				t.Fatalf("%+v:\n got %q\nwant %q", o, got, want)
			}
			if found += len(want); len(want) > int(o.Limit) {
				several++
			}
			if c := n.read(&op.Count{Space: op.SpaceKey, From: o.From, To: o.To}); c.Int != int64(len(n.expected(&op.Scan{From: o.From, To: o.To}))) {
				t.Fatalf("%+v: counted %d", o, c.Int)
			}
		}
		if c := n.read(&op.Count{Space: op.SpaceLock, From: n.from, To: n.to}); c.Int != 0 {
			t.Errorf("%d locks", c.Int)
		}
	}
	if found < 1000 || several < 30 {
		t.Errorf("%d names found, %d scans of several pages: too few to say anything", found, several)
	}
}

// DeleteRange goes through a range page by page. What is newer than it was asked for stays.
func TestDeleteRangePages(t *testing.T) {
	n := newNames(t, 1)
	upTo := n.now
	newer := &op.Set{Key: []byte("{t}5"), Value: []byte("new")}
	n.one(newer)
	delete(n.live, "{t}5")
	o := &op.DeleteRange{Space: op.SpaceKey, From: n.from, To: n.to, UpTo: upTo, Limit: 7}
	total, pages := int64(0), 0
	for {
		pages++
		res := n.one(o)
		if total += res.Int; res.Int > 7 || !res.Done {
			t.Fatalf("%+v", res)
		}
		if res.Next == nil {
			break
		}
		if res.Int != 7 {
			t.Fatalf("a page of %d that is not the last", res.Int)
		}
		o.From = *res.Next
	}
	if total != int64(len(n.live)) || pages < 3 {
		t.Errorf("%d deleted in %d pages, want %d", total, pages, len(n.live))
	}
	left := n.read(&op.Scan{Space: op.SpaceKey, From: n.from, To: n.to, Limit: 10})
	if len(left.Items) != 1 || string(left.Items[0].Key) != "{t}5" {
		t.Errorf("left: %+v", left.Items)
	}
	if s := n.State(); s.Live[op.SpaceKey] != 1 {
		t.Errorf("%d live", s.Live[op.SpaceKey])
	}
}

// Revisions are read from the history as they were, also after a change of the expiry.
func TestHistoryAndRevisions(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	key := []byte("k")
	for i := range 3 {
		r.one(&op.Set{Key: key, Value: fmt.Appendf(nil, "v%d", i+1), NoRev: i == 1})
	}
	r.one(&op.Expire{Key: key, Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 1000}})
	r.one(&op.Delete{Key: key})
	for rev, want := range []op.Result{{}, {Found: true, Value: []byte("v1")}, {Status: op.Collected}, {Found: true, Value: []byte("v3")}, {}, {}} {
		if rev == 0 {
			continue
		}
		got := r.read(&op.Get{Key: key, AtRev: uint64(rev)})
		if got.Status != want.Status || got.Found != want.Found || !bytes.Equal(got.Value, want.Value) {
			t.Errorf("revision %d: %+v", rev, got)
		}
	}
	items := r.read(&op.History{Key: key, Limit: 3}).Items
	if len(items) != 3 || !items[0].Deleted || items[1].Rev != 3 || items[1].ExpireAt == 0 || !items[2].Lost {
		t.Errorf("%+v", items)
	}
}

// A count of all that is current is known without counting, but not while an intent may change it.
func TestCountOfTheWhole(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.do(Unit{set("a", "1"), set("b", "1"), set("c", "1"), &op.Delete{Key: []byte("c")}})
	count := func() op.Result {
		snap := r.store.Snapshot()
		defer snap.Close()
		res, err := r.Read(snap, mvcc.Latest, &op.Count{Space: op.SpaceKey})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if got := count(); got.Int != 2 {
		t.Errorf("%+v", got)
	}
	n := op.Key([]byte("d"))
	txn := r.now
	r.one(&op.Prewrite{Txn: txn, Home: n, Writes: []op.Write{{Name: n}}})
	if got := count(); got.Status != op.Blocked || got.Intent == nil || !got.Intent.Name.Equal(n) {
		t.Errorf("with an intent: %+v", got)
	}
	r.one(&op.Resolve{Txn: txn, Names: []op.Name{n}, Committed: true, At: r.now + 1})
	if got := count(); got.Int != 3 {
		t.Errorf("after its end: %+v", got)
	}
}
