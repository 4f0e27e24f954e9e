package listappend

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// parse reads a history: for each transaction its start and end, how it ended (! aborted, ? unknown) and its operations: ax1
// appends 1 to x, rx12 reads 1 and 2 in x.
func parse(t *testing.T, lines ...string) (txns []Txn) {
	t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		var x Txn
		if _, err := fmt.Sscanf(words[0], "%d-%d", &x.Start, &x.End); err != nil {
			t.Fatal(line, err)
		}
		for _, w := range words[1:] {
			switch w[0] {
			case '!':
				x.Status = Aborted
			case '?':
				x.Status = Unknown
			default:
				o := Op{Key: w[1:2], Append: w[0] == 'a'}
				for _, d := range w[2:] {
					o.List = append(o.List, int(d-'0'))
				}
				if o.Append {
					o.Value, o.List = o.List[0], nil
				}
				x.Ops = append(x.Ops, o)
			}
		}
		txns = append(txns, x)
	}
	return txns
}

func TestHistories(t *testing.T) {
	for _, h := range []struct {
		name string
		want string // kinds
		txns []string
	}{
		{"nothing", "", nil},
		{"one after the other", "", []string{"0-1 ax1 ay1", "2-3 rx1 ry1 ax2", "4-5 rx12 ry1"}},
		{"at the same time, in either order", "", []string{"0-9 ax1", "0-9 rx", "0-9 rx1"}},
		{"own appends are read", "", []string{"0-1 ax1 rx1 ax2 rx12", "2-3 rx12"}},
		{"an unknown one that was there", "", []string{"0-1 ? ax1", "5-6 rx1"}},
		{"an unknown one that was not there", "", []string{"0-1 ? ax1", "5-6 rx"}},
		{"an unknown one that came late", "", []string{"0-1 ? ax1", "5-6 rx", "7-8 rx1"}},
		{"an aborted one", "", []string{"0-1 ! ax1", "2-3 rx"}},
		{"appends that nobody read yet", "", []string{"0-9 ax1", "0-9 ax2", "0-9 rx"}},
		{"two reads of one order", "", []string{"0-9 ax1 ay1", "0-9 ax2 ay2", "0-9 rx12 ry12", "0-9 rx1 ry1"}},
		{"an aborted one is read", "G1a", []string{"0-1 ! ax1", "2-3 rx1"}},
		{"the middle of one is read", "G1b", []string{"0-9 ax1 ax2", "0-9 rx1"}},
		{"something between the appends of one", "G0 G1b", []string{"0-9 ax1 ax2", "0-9 ax3", "10-11 rx132"}},
		{"writes in different orders", "G0", []string{"0-9 ax1 ay1", "0-9 ax2 ay2", "10-11 rx12 ry21"}},
		{"each reads the other's write", "G1c", []string{"0-9 ax1 ry1", "0-9 ay1 rx1"}},
		{"half of one is read", "G-single", []string{"0-9 ax1 ay1", "0-9 rx1 ry"}},
		{"a lost update", "G-single", []string{"0-9 rx ax1", "0-9 rx ax2", "10-11 rx12"}},
		{"write skew", "G2-item", []string{"0-9 rx ry ax1", "0-9 rx ry ay1", "10-11 rx1 ry1"}},
		{"a long fork", "G2-item", []string{"0-9 ax1", "0-9 ay1", "0-9 rx1 ry", "0-9 rx ry1"}},
		{"a stale read", "G-single-realtime", []string{"0-1 ax1", "2-3 rx", "4-5 rx1"}},
		{"a lost append", "G-single-realtime", []string{"0-1 ax1", "2-3 rx"}},
		{"an append lost behind others", "G-single-realtime", []string{"0-1 ax1", "2-3 ax2", "4-5 rx1"}},
		{"appends against real time", "G0-realtime", []string{"0-1 ax1", "2-3 ax2", "4-5 rx21"}},
		{"read before it was written", "G1c-realtime", []string{"0-1 rx1", "2-3 ax1"}},
		{"causal reverse", "G-single-realtime", []string{"0-1 ax1", "2-3 ay1", "0-9 rx ry1"}},
		{"duplicate", "duplicate", []string{"0-1 ax1", "2-3 rx11"}},
		{"garbage", "garbage", []string{"0-1 rx5"}},
		{"orders that do not fit", "incompatible-order", []string{"0-9 ax1", "0-9 ax2", "0-9 rx12", "0-9 rx2"}},
		{"own append is not read", "internal", []string{"0-1 ax1 rx"}},
		{"two reads of one differ", "internal", []string{"0-9 ax1", "0-9 rx rx1"}},
		{"one element twice", "invalid", []string{"0-1 ax1", "2-3 ax1"}},
	} {
		v := Check(parse(t, h.txns...))
		got := v.Kinds()
		for _, want := range strings.Fields(h.want) {
			if !slices.Contains(got, want) {
				t.Errorf("%s: found %v, want %s", h.name, got, h.want)
			}
		}
		if h.want == "" && len(got) > 0 {
			t.Errorf("%s: found %v in a history that is right", h.name, v.Anomalies)
		}
	}
}

// serial makes a history that is right: transactions one after the other, seen by clients whose calls overlap.
func serial(rng *rand.Rand, n int) (txns []Txn) {
	lists := map[string][]int{}
	for i := range n {
		at := int64(10 * i)
		x := Txn{Start: at - rng.Int64N(30), End: at + rng.Int64N(30)}
		for range 1 + rng.IntN(4) {
			o := Op{Key: string(rune('a' + rng.IntN(3))), Append: rng.IntN(2) == 0}
			if o.Append {
				o.Value = 1000*i + len(x.Ops)
				lists[o.Key] = append(lists[o.Key], o.Value)
			} else {
				o.List = slices.Clone(lists[o.Key])
			}
			x.Ops = append(x.Ops, o)
		}
		txns = append(txns, x)
	}
	rng.Shuffle(len(txns), func(i, k int) { txns[i], txns[k] = txns[k], txns[i] })
	return txns
}

func TestSerialHistoriesPass(t *testing.T) {
	for seed := range uint64(100) {
		if v := Check(serial(rand.New(rand.NewPCG(seed, 1)), 100)); len(v.Anomalies) > 0 || v.WW == 0 || v.WR == 0 || v.RW == 0 {
			t.Fatalf("seed %d: %+v", seed, v)
		}
	}
}

// damage changes one read of at least two elements, other than those of the transaction itself.
func damage(rng *rand.Rand, txns []Txn, change func(o *Op)) bool {
	for range 1000 {
		x := &txns[rng.IntN(len(txns))]
		if o := &x.Ops[rng.IntN(len(x.Ops))]; !o.Append && len(o.List) >= 2 && len(x.Ops) == 1 {
			change(o)
			return true
		}
	}
	return false
}

func TestDamagedHistoriesAreFound(t *testing.T) {
	const runs = 100
	for _, d := range []struct {
		name   string
		least  int // to be found, of runs
		change func(rng *rand.Rand, o *Op)
	}{
		{"dropped", runs, func(rng *rand.Rand, o *Op) { i := rng.IntN(len(o.List) - 1); o.List = slices.Delete(o.List, i, i+1) }},
		{"swapped", runs, func(rng *rand.Rand, o *Op) {
			i := rng.IntN(len(o.List) - 1)
			o.List[i], o.List[i+1] = o.List[i+1], o.List[i]
		}},
		{"stale", runs * 9 / 10, func(rng *rand.Rand, o *Op) { o.List = o.List[:rng.IntN(len(o.List)/2+1)] }}, // some are legal
	} {
		found := 0
		for seed := range uint64(runs) {
			rng := rand.New(rand.NewPCG(seed, 2))
			txns := serial(rng, 100)
			if !damage(rng, txns, func(o *Op) { d.change(rng, o) }) {
				t.Fatal("nothing to damage")
			}
			if v := Check(txns); len(v.Anomalies) > 0 {
				found++
			}
		}
		if found < d.least {
			t.Errorf("%s: found in %d of %d", d.name, found, runs)
		}
	}
}
