package cluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
)

// keeper is a model of keys that keeps every version there ever was.
type keeper struct {
	mu       sync.Mutex
	versions map[string][]kept
}

type kept struct {
	at    op.Timestamp
	value string
}

func (k *keeper) wrote(key string, at op.Timestamp, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.versions[key] = append(k.versions[key], kept{at, value})
}

func (k *keeper) at(key string, at op.Timestamp) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	value := "-"
	for _, v := range k.versions[key] {
		if v.at <= at {
			value = v.value
		}
	}
	return value
}

// TestPastAgainstModel writes, deletes and holds at random, for much longer than the retention. A read of the past is right or says
// that it was collected, and never that for what is within the retention or held.
func TestPastAgainstModel(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			withHistory(t, func(t *testing.T, n *cluster.Node) { pastAgainstModel(t, n, rand.New(rand.NewPCG(seed, 77))) })
		})
	}
}

func pastAgainstModel(t *testing.T, n *cluster.Node, rnd *rand.Rand) {
	model := &keeper{versions: map[string][]kept{}}
	var holds []cluster.Hold
	var times []op.Timestamp
	right, collected := 0, 0
	for step := range 250 {
		key := fmt.Sprint("k", rnd.IntN(6))
		o, value := op.Op(&op.Set{Key: []byte(key), Value: fmt.Append(nil, step)}), fmt.Sprint(step)
		if rnd.IntN(4) == 0 {
			o, value = &op.Delete{Key: []byte(key)}, "-"
		}
		do(t, n, o)
		at := do(t, n, &op.Version{Name: op.Key([]byte(key))})[0].TS
		model.wrote(key, at, value)
		times = append(times, now(t, n))
		switch rnd.IntN(12) {
		case 0:
			if hold, err := n.History().Hold(context.Background(), times[max(0, len(times)-1-rnd.IntN(5))], 10*testRetention.Milliseconds()); err == nil {
				holds = append(holds, hold)
			}
		case 1:
			if len(holds) > 0 {
				i := rnd.IntN(len(holds))
				if _, err := n.History().Release(context.Background(), holds[i].ID); err != nil {
					t.Fatal(err)
				}
				holds = append(holds[:i], holds[i+1:]...)
			}
		}
		time.Sleep(time.Duration(rnd.IntN(int(testRetention / 10))))
		present := now(t, n)
		kept := present.Add(-testRetention.Milliseconds())
		for _, h := range holds {
			if h.Until > present {
				kept = min(kept, h.At)
			}
		}
		for range 4 {
			key, at := fmt.Sprint("k", rnd.IntN(6)), times[rnd.IntN(len(times))]
			switch got, want := readAt(t, n, key, at), model.at(key, at); {
			case got == "collected" && at >= kept:
				t.Fatalf("%s at %d was collected, and the history is kept from %d on", key, at, kept)
			case got == "collected":
				collected++
			case got != want:
				t.Fatalf("%s at %d is %q, want %q", key, at, got, want)
			default:
				right++
			}
		}
	}
	if right < 60 || collected < 60 {
		t.Errorf("%d reads were right and %d collected", right, collected)
	}
}

// Holds are granted while the safe point is raised as often as it can be: there is no moment between the two at which a hold is
// granted that does not keep what it promises.
func TestHoldsAgainstTheSafePoint(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := clustertest.Config(dir, 2)
		cfg.HistoryRetention = 200 * time.Millisecond // as old as what is held: the two race
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		granted, refused := 0, 0
		for i := range 150 {
			do(t, n, &op.Set{Key: []byte("k"), Value: fmt.Append(nil, i)})
			at := now(t, n)
			do(t, n, &op.Set{Key: []byte("k"), Value: []byte("other")})
			time.Sleep(time.Duration(150+i%250) * time.Millisecond)
			hold, err := n.History().Hold(context.Background(), at, 60_000)
			if err != nil {
				refused++
				continue
			}
			granted++
			time.Sleep(time.Second)
			if got := readAt(t, n, "k", at); got != fmt.Sprint(i) {
				t.Fatalf("a hold was granted at %d, and what it holds is %q", at, got)
			}
			if _, err := n.History().Release(context.Background(), hold.ID); err != nil {
				t.Fatal(err)
			}
		}
		if granted < 10 || refused < 10 {
			t.Errorf("%d holds granted, %d refused", granted, refused)
		}
	})
}
