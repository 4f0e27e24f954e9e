package cluster

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/fleet"
	"kahuna/tests/e2e/wire"
)

// TestFailover measures how soon every partition takes writes again after kill -9 of a node that leads. It asserts nothing about it:
// that is the machine's.
func TestFailover(t *testing.T) {
	if *failoversFlag == 0 {
		t.Skip("-failovers says how often to measure")
	}
	p := launch(t, *nodesFlag, "--partitions", "4")
	keys := keysOf(4)
	beside := startEtcds(t)
	var took, etcd []time.Duration
	for round := range *failoversFlag {
		if err := p.Await(time.Minute, p.Placed); err != nil {
			t.Fatal(err)
		}
		victim := p.Leads()[fmt.Sprint(round%5)] // of the meta group too
		write := writers(t, p, victim, keys)
		began := time.Now()
		p.Kill(victim)
		d := write(began)
		t.Logf("kill -9 of a node that leads: every partition takes writes again after %v", d.Round(time.Millisecond))
		took = append(took, d)
		if beside != nil {
			etcd = append(etcd, beside.failover())
			t.Logf("kill -9 of etcd's leader: it takes writes again after %v", etcd[round].Round(time.Millisecond))
		}
		if err := p.Start(victim); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills: %s", len(took), spread(took))
	if beside != nil {
		t.Logf("%d kills of etcd's leader: %s", len(etcd), spread(etcd))
	}
}

// spread tells the median, the least and the most.
func spread(took []time.Duration) string {
	slices.Sort(took)
	at := func(i int) time.Duration { return took[i].Round(time.Millisecond) }
	return fmt.Sprintf("median %v, least %v, most %v", at(len(took)/2), at(0), at(len(took)-1))
}

// keysOf are names of which each partition has one: a new cluster's ranges are of equal numbers of slots.
func keysOf(partitions int) (keys []string) {
	found := map[int]string{}
	for i := 0; len(found) < partitions; i++ {
		key := fmt.Sprint("k", i)
		if at := int(op.Slot([]byte(key))) * partitions / 16384; found[at] == "" {
			found[at] = key
			keys = append(keys, key)
		}
	}
	return keys
}

// writers connect to a node that stays, a connection per key. What they return writes to all keys at once, each again until it is
// done, and tells how long after began the last one was.
func writers(t *testing.T, p *fleet.Fleet, victim int, keys []string) (write func(began time.Time) time.Duration) {
	t.Helper()
	other := p.Others(victim)[0]
	var conns []*wire.Conn
	for range keys {
		c, err := wire.Dial(p.Addr(other, fleet.ClientPort), 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	return func(began time.Time) time.Duration {
		done := make(chan error, len(keys))
		for i, key := range keys {
			go func() {
				defer conns[i].Close()
				for {
					r, err := conns[i].Do("SET", key, "v")
					if err != nil || r.Err() == "" {
						done <- err
						return
					}
				}
			}()
		}
		for range keys {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		return time.Since(began)
	}
}

// TestIdle measures what a cluster with many partitions costs while nobody asks for anything.
func TestIdle(t *testing.T) {
	if !*idleFlag {
		t.Skip("-idle measures it")
	}
	began := time.Now()
	p := launch(t, *nodesFlag, "--partitions", fmt.Sprint(*partitionFlag))
	t.Logf("all replicas were placed after %v", time.Since(began).Round(time.Second))
	<-time.After(20 * time.Second)
	before := cpu(t, p)
	began = time.Now()
	<-time.After(30 * time.Second)
	used, took := cpu(t, p)-before, time.Since(began)
	var memory []string
	for _, i := range p.Members() {
		memory = append(memory, fmt.Sprintf("%.0f MiB", float64(residentKiB(t, p.PID(i)))/1024))
	}
	t.Logf("%d idle partitions on %d nodes: %.1f%% of a core together; %s", *partitionFlag, len(p.Members()), 100*used.Seconds()/took.Seconds(), strings.Join(memory, ", "))
}

// cpu is what all nodes have used so far.
func cpu(t *testing.T, p *fleet.Fleet) (sum time.Duration) {
	t.Helper()
	const perSecond = 100 // clock ticks of Linux, as /proc shows them
	for _, i := range p.Members() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID(i)))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // from the third on
		for _, at := range []int{14, 15} {
			ticks, err := strconv.Atoi(fields[at-3])
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(ticks) * time.Second / perSecond
		}
	}
	return sum
}

func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib
		}
	}
	return 0
}
