package cluster

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kahuna/tests/cluster/fleet"
	"kahuna/tests/e2e/wire"
)

var splitsFlag = flag.Int("splits", 0, "how many splits TestSplitPause makes and measures; 0: none")

// splitClients write all the time.
const splitClients = 50

// TestSplitPause measures for how long a split stops writes to what it is about: the longest time in which none of 50 clients got an
// answer to a write, around each split. It asserts nothing about it: that is the machine's.
func TestSplitPause(t *testing.T) {
	if *splitsFlag == 0 {
		t.Skip("-splits says how often to measure")
	}
	p := launch(t, *nodesFlag, "--partitions", "1")
	if err := p.Await(time.Minute, p.Placed); err != nil {
		t.Fatal(err)
	}
	w := newSplitWriters(t, p)
	defer w.stop()
	var took []time.Duration
	for i := range *splitsFlag {
		time.Sleep(time.Second)
		w.take()
		// All clients write to one slot, in names after the tag; the partition that has them is split before them, again and again.
		r, err := p.Do(0, 30*time.Second, "PARTITION", "SPLIT", fmt.Sprint(i+1), "AT", fmt.Sprintf("{t}%04d", i))
		if err != nil || r.Err() != "" {
			t.Fatal(r, err)
		}
		time.Sleep(time.Second)
		gap := longestGap(w.take())
		t.Logf("split %d: %v without a write, %s", i, gap.Round(time.Millisecond/10), r)
		took = append(took, gap)
	}
	slices.Sort(took)
	t.Logf("%d splits under %d clients: median %v, least %v, most %v", len(took), splitClients, took[len(took)/2], took[0], took[len(took)-1])
}

// splitWriters write to names of one slot through all nodes, and note when each write was answered.
type splitWriters struct {
	mu      sync.Mutex
	at      []time.Time
	ended   chan struct{}
	running sync.WaitGroup
}

func newSplitWriters(t *testing.T, p *fleet.Fleet) *splitWriters {
	t.Helper()
	w := &splitWriters{ended: make(chan struct{})}
	for i := range splitClients {
		c, err := wire.Dial(p.Addr(i%*nodesFlag, fleet.ClientPort), 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		w.running.Go(func() {
			defer c.Close()
			for key := fmt.Sprintf("{t}z%d", i); ; {
				select {
				case <-w.ended:
					return
				default:
				}
				if r, err := c.Do("SET", key, "v"); err != nil || r.Err() != "" {
					t.Errorf("%v, %v", r, err)
					return
				}
				w.mu.Lock()
				w.at = append(w.at, time.Now())
				w.mu.Unlock()
			}
		})
	}
	return w
}

func (w *splitWriters) take() (at []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, w.at = w.at, nil
	return at
}

func (w *splitWriters) stop() {
	close(w.ended)
	w.running.Wait()
}

func longestGap(at []time.Time) (longest time.Duration) {
	for i := 1; i < len(at); i++ {
		longest = max(longest, at[i].Sub(at[i-1]))
	}
	return longest
}
