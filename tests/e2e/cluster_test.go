package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"kahuna/tests/e2e/rig"
)

// trio is three nodes, each a process.
type trio struct {
	servers []*rig.Server
	main    []*redis.Client // of the main ports
	direct  []*redis.Client // of the cluster ports, without following a MOVED
}

// startTrio starts three nodes that are one cluster, and waits until each partition is on all of them and led.
func startTrio(t *testing.T, ctx context.Context) *trio {
	k := &trio{}
	for i := range 3 {
		args := []string{"--node-name", fmt.Sprint("n", i), "--partitions", "4"}
		if i > 0 {
			node, err := k.main[0].Do(ctx, "NODE", "INFO", "n0").Result()
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, "--join", node.(map[any]any)["peer-address"].(string))
		}
		s := start(t, rig.Options{Dir: t.TempDir(), Args: args})
		k.servers = append(k.servers, s)
		k.main = append(k.main, client(t, s.Listen))
		k.direct = append(k.direct, client(t, s.ClusterListen))
	}
	k.until(t, ctx, "every partition is on three nodes", func() error { return k.placed(ctx) })
	return k
}

func client(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ReadTimeout: patience})
	t.Cleanup(func() { c.Close() })
	return c
}

// until asks again and again until ok says nil.
func (k *trio) until(t *testing.T, ctx context.Context, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not so in time: %s: %v", what, err)
		}
	}
}

func (k *trio) placed(ctx context.Context) error {
	list, err := k.main[0].Do(ctx, "PARTITION", "LIST").Slice()
	if err != nil {
		return err
	}
	for _, p := range list[1:] {
		p := p.(map[any]any)
		one, err := k.main[0].Do(ctx, "PARTITION", "INFO", p["id"]).Result()
		if err != nil {
			return err
		}
		votes := 0
		for _, m := range one.(map[any]any)["members"].([]any) {
			if m.(map[any]any)["votes"] == "yes" {
				votes++
			}
		}
		if votes != 3 || p["leader"] == "" { // with two that vote, the loss of one is the loss of the quorum
			return fmt.Errorf("%v", one)
		}
	}
	return nil
}

// leader is the place of the node that answers for a key; -1: nobody is known.
func (k *trio) leader(ctx context.Context, by *redis.Client, key string) int {
	slot := by.ClusterKeySlot(ctx, key).Val()
	//lint:ignore SA1019 most clients ask this
	for _, r := range by.ClusterSlots(ctx).Val() {
		if int64(r.Start) <= slot && slot <= int64(r.End) {
			for i, s := range k.servers {
				if r.Nodes[0].Addr == s.ClusterListen {
					return i
				}
			}
		}
	}
	return -1
}

const trioKeys = 60

func trioKey(i int) string { return fmt.Sprint("key:", i) }

// TestClusterClient uses three nodes through a cluster-aware client, which goes to the leaders, follows when a leadership is handed
// over, and finds the new leaders when a node is killed.
func TestClusterClient(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	k := startTrio(t, ctx)
	var addrs []string
	for _, s := range k.servers {
		addrs = append(addrs, s.ClusterListen)
	}
	// It looks for new leaders after a MOVED or this interval, and not when a node does not answer.
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ClusterStateReloadInterval: time.Second, MaxRedirects: 8, ReadTimeout: patience})
	defer c.Close()
	for i := range trioKeys {
		set, err := c.Set(ctx, trioKey(i), i, 0).Result()
		same(t, "Set", set, "OK", err)
	}
	k.until(t, ctx, "each key is answered by its leader, and redirected to it", func() error { return k.redirects(ctx) })
	clusterTransactions(t, ctx, c)

	from := k.leader(ctx, k.main[0], trioKey(0))
	to := (from + 1) % 3
	partition := k.partition(t, ctx, trioKey(0))
	k.until(t, ctx, "the leadership may go over", func() error {
		return k.main[from].Do(ctx, "PARTITION", "LEADER", partition, fmt.Sprint("n", to)).Err()
	})
	k.until(t, ctx, "the leadership went over", func() error {
		if err := k.direct[from].Get(ctx, trioKey(0)).Err(); err == nil || !strings.Contains(err.Error(), "MOVED") {
			return fmt.Errorf("the node that led answers %v", err)
		}
		return nil
	})
	k.reads(t, ctx, c)

	k.servers[to].Kill()
	k.until(t, ctx, "the others have taken over", func() error { return c.Set(ctx, trioKey(0), 0, 0).Err() })
	k.until(t, ctx, "nobody is sent to the node that is gone", func() error {
		for i := range trioKeys {
			if at := k.leader(ctx, k.main[from], trioKey(i)); at < 0 || at == to {
				return fmt.Errorf("%s is at %d", trioKey(i), at)
			}
		}
		return nil
	})
	k.reads(t, ctx, c)
	k.replace(t, ctx, from, to)
}

// redirects asks every node for every key. One answers, and the others tell where it is. Not so while a leadership goes over.
func (k *trio) redirects(ctx context.Context) error {
	for i := range trioKeys {
		leader := k.leader(ctx, k.main[i%3], trioKey(i))
		for n, d := range k.direct {
			value, err := d.Get(ctx, trioKey(i)).Result()
			switch {
			case err == nil && value == fmt.Sprint(i) && n == leader:
			case leader >= 0 && err != nil && n != leader && strings.HasPrefix(err.Error(), "MOVED ") && strings.HasSuffix(err.Error(), " "+k.servers[leader].ClusterListen):
			default:
				return fmt.Errorf("node %d answers %q, %v for %s; node %d leads", n, value, err, trioKey(i), leader)
			}
			if value, err := k.main[n].Get(ctx, trioKey(i)).Result(); err != nil || value != fmt.Sprint(i) {
				return fmt.Errorf("the main port of node %d answers %q, %v", n, value, err)
			}
		}
	}
	return nil
}

// clusterTransactions uses what has several keys, of one slot, and scripts and messages.
func clusterTransactions(t *testing.T, ctx context.Context, c *redis.ClusterClient) {
	t.Helper()
	cmds, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{t}a", 1, 0)
		p.Incr(ctx, "{t}a")
		return nil
	})
	if err != nil || cmds[1].(*redis.IntCmd).Val() != 2 {
		t.Errorf("TxPipelined gives %v, %v", cmds, err)
	}
	err = c.Watch(ctx, func(tx *redis.Tx) error {
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "{t}b", "w", 0); return nil })
		return err
	}, "{t}a")
	if err != nil {
		t.Error("Watch:", err)
	}
	many, err := c.MGet(ctx, "{t}a", "{t}b").Result()
	same(t, "MGet", fmt.Sprint(many), "[2 w]", err)
	sum, err := redis.NewScript(`return redis.call("INCRBY", KEYS[1], ARGV[1])`).Run(ctx, c, []string{"{t}a"}, 5).Int()
	same(t, "a script", sum, 7, err)
	_, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range trioKeys {
			p.Set(ctx, trioKey(i), i, 0)
		}
		return nil
	})
	if err != nil {
		t.Error("a pipeline over all nodes:", err)
	}
	sub := c.Subscribe(ctx, "news")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(100 * time.Millisecond) // what is published while a link to another node is not there yet is lost
	defer again.Stop()
	for news := sub.Channel(); ; {
		if err := c.Publish(ctx, "news", "hello").Err(); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-news:
			if m == nil || m.Payload != "hello" {
				t.Errorf("a message: %v", m)
			}
			return
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("no message comes")
		}
	}
}

// partition is the id of the partition of a key.
func (k *trio) partition(t *testing.T, ctx context.Context, key string) any {
	t.Helper()
	slot := k.main[0].ClusterKeySlot(ctx, key).Val()
	list, err := k.main[0].Do(ctx, "PARTITION", "LIST").Slice()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list[1:] {
		p := p.(map[any]any)
		from, to := int64(0), int64(1<<14)
		fmt.Sscanf(p["from"].(string), "slot %d", &from)
		fmt.Sscanf(p["to"].(string), "slot %d", &to)
		if from <= slot && slot < to {
			return p["id"]
		}
	}
	t.Fatal("no partition has the slot")
	return nil
}

// reads reads all keys through the client, and once more from every node that runs.
func (k *trio) reads(t *testing.T, ctx context.Context, c *redis.ClusterClient) {
	t.Helper()
	for i := range trioKeys {
		value, err := c.Get(ctx, trioKey(i)).Result()
		same(t, "Get", value, fmt.Sprint(i), err)
		for n, s := range k.servers {
			if s.Running() {
				value, err := k.main[n].Get(ctx, trioKey(i)).Result()
				same(t, "Get on a main port", value, fmt.Sprint(i), err)
			}
		}
	}
}

// replace removes the node that is gone, and has another take its place.
func (k *trio) replace(t *testing.T, ctx context.Context, by, gone int) {
	t.Helper()
	k.until(t, ctx, "the node may leave", func() error { return k.main[by].Do(ctx, "NODE", "LEAVE", fmt.Sprint("n", gone)).Err() })
	k.until(t, ctx, "the node has left", func() error {
		node, err := k.main[by].Do(ctx, "NODE", "INFO", fmt.Sprint("n", gone)).Result()
		if err == nil && node.(map[any]any)["status"] != "left" {
			err = fmt.Errorf("%v", node)
		}
		if err != nil && strings.Contains(err.Error(), "no such node") {
			return nil // its name is free by now
		}
		return err
	})
	node, err := k.main[by].Do(ctx, "NODE", "INFO", fmt.Sprint("n", by)).Result()
	if err != nil {
		t.Fatal(err)
	}
	peer := node.(map[any]any)["peer-address"].(string)
	if _, _, err := net.SplitHostPort(peer); err != nil {
		t.Fatal(err)
	}
	s := start(t, rig.Options{Dir: t.TempDir(), Args: []string{"--node-name", "n9", "--join", peer}})
	fresh := client(t, s.Listen)
	k.until(t, ctx, "the new node has replicas", func() error {
		node, err := fresh.Do(ctx, "NODE", "INFO", "n9").Result()
		if err == nil && len(node.(map[any]any)["partitions-led"].([]any)) == 0 {
			err = fmt.Errorf("%v", node)
		}
		return err
	})
	for i := range trioKeys {
		value, err := fresh.Get(ctx, trioKey(i)).Result()
		same(t, "Get on the new node", value, fmt.Sprint(i), err)
	}
}
