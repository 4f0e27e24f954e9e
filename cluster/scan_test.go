package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kahuna/cluster"
	"kahuna/op"
)

// names are a few hundred keys with values of many sizes; tags and zero bytes among them.
func fillKeys(t *testing.T, n *cluster.Node, rng *rand.Rand) (model map[string]string) {
	model = map[string]string{}
	var ops []op.Op
	for range 300 {
		key := fmt.Sprintf("%c%d", 'a'+rng.IntN(4), rng.IntN(200))
		switch rng.IntN(6) {
		case 0:
			key = "{" + key[:1] + "}" + key
		case 1:
			key += "\x00z"
		}
		model[key] = strings.Repeat("v", rng.IntN(50))
		ops = append(ops, set(key, model[key]))
	}
	for key := range model {
		if rng.IntN(5) == 0 {
			ops = append(ops, &op.Delete{Key: []byte(key)})
			delete(model, key)
		}
	}
	do(t, n, ops...)
	return model
}

// Scans of any kind over any number of partitions, page by page, give what a plain map gives.
func TestScansAgainstModel(t *testing.T) {
	for _, partitions := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(partitions), func(t *testing.T) {
			onNode(t, partitions, func(t *testing.T, n *cluster.Node) {
				rng := rand.New(rand.NewPCG(uint64(partitions), 5))
				model := fillKeys(t, n, rng)
				for range 60 {
					s := &op.Scan{Space: op.SpaceKey, Limit: uint32(1 + rng.IntN(40)), ByName: rng.IntN(2) == 0, Values: rng.IntN(2) == 0}
					if rng.IntN(2) == 0 {
						s.MaxBytes = uint32(1 + rng.IntN(300))
					}
					if rng.IntN(2) == 0 {
						s.Prefix = []byte{byte('a' + rng.IntN(4))}
					}
					if s.ByName && rng.IntN(2) == 0 {
						s.Start, s.End, s.After = fmt.Append(nil, "b", rng.IntN(99)), fmt.Append(nil, "c", rng.IntN(99)), rng.IntN(2) == 0
					}
					if rng.IntN(4) == 0 {
						s.Match = []byte("*1*")
					}
					scanAll(t, n, s, model)
				}
				if got := do(t, n, &op.Count{Space: op.SpaceKey})[0].Int; got != int64(len(model)) {
					t.Errorf("%d names are counted, there are %d", got, len(model))
				}
				flush(t, n, len(model))
			})
		})
	}
}

// scanAll goes through all pages.
func scanAll(t *testing.T, n *cluster.Node, first *op.Scan, model map[string]string) {
	t.Helper()
	s, got := *first, []string{}
	for pages := 0; ; pages++ {
		out := do(t, n, &s)[0]
		if len(out.Items) > int(s.Limit) || pages > 2000 {
			t.Fatalf("a page of %d, or no end: %+v", len(out.Items), s)
		}
		for _, it := range out.Items {
			got = append(got, string(it.Key))
			if s.Values && string(it.Value) != model[string(it.Key)] {
				t.Fatalf("%q is %q", it.Key, it.Value)
			}
		}
		if out.Next == nil {
			break
		}
		if s.ByName {
			s.Start, s.After = out.Next.Name, true
		} else {
			s.From = *out.Next
		}
	}
	var want []string
	for key := range model {
		if strings.HasPrefix(key, string(first.Prefix)) && key >= string(first.Start) && !(first.After && key == string(first.Start)) &&
			(len(first.End) == 0 || key < string(first.End)) && (len(first.Match) == 0 || strings.Contains(key, "1")) {
			want = append(want, key)
		}
	}
	slices.SortFunc(want, func(a, b string) int {
		if sa, sb := int(op.Slot([]byte(a))), int(op.Slot([]byte(b))); !first.ByName && sa != sb {
			return sa - sb
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: %d names %q, want %d names %q", first, len(got), got, len(want), want)
	}
}

// flush deletes page by page all that is not newer than its start.
func flush(t *testing.T, n *cluster.Node, there int) {
	t.Helper()
	upTo, err := n.Router().Now(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	do(t, n, set("newer", "1"))
	deleted, from := 0, op.Position{}
	for {
		out := do(t, n, &op.DeleteRange{Space: op.SpaceKey, From: from, UpTo: upTo, Limit: 17})[0]
		if deleted += int(out.Int); out.Int > 17 {
			t.Fatalf("%d in a page of 17", out.Int)
		}
		if out.Next == nil {
			break
		}
		from = *out.Next
	}
	if left := do(t, n, &op.Count{Space: op.SpaceKey})[0].Int; deleted != there || left != 1 {
		t.Errorf("%d of %d were deleted, %d are left", deleted, there, left)
	}
}

// A deletion that comes no further than one partition tells how far it came: the error of the next one says that nothing was
// changed, and belongs to who goes on there.
func TestDeleteRangeStopsBetweenPartitions(t *testing.T) {
	onNode(t, 4, func(t *testing.T, n *cluster.Node) {
		first := 0
		for i := range 40 {
			key := fmt.Sprint("k", i)
			if do(t, n, set(key, "1")); n.Router().Partition(op.Key([]byte(key))) == 1 {
				first++
			}
		}
		if err := n.Replica(2).Group().Close(); err != nil {
			t.Fatal(err)
		}
		all := &op.DeleteRange{Space: op.SpaceKey, UpTo: op.MaxTimestamp, Limit: 1000}
		out := n.Router().Do(t.Context(), []op.Op{all})[0]
		if out.Err != nil || out.Int != int64(first) || first == 0 || out.Next == nil {
			t.Fatalf("%d of %d were deleted, next is %v, and the error is %v", out.Int, first, out.Next, out.Err)
		}
		all.From = *out.Next
		if out = n.Router().Do(t.Context(), []op.Op{all})[0]; !errors.Is(out.Err, cluster.ErrClusterDown) {
			t.Errorf("from %v on it ends with %+v", all.From, out)
		}
	})
}
