package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"kahuna/commands/scripttest"
	"kahuna/tests/e2e/rig"
)

// TestGoRedis uses go-redis as its users do, in RESP3 (its default) and RESP2.
func TestGoRedis(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	for _, protocol := range []int{3, 2} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			c := redis.NewClient(&redis.Options{Addr: s.Listen, Protocol: protocol, ReadTimeout: patience})
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			prefix := fmt.Sprintf("resp%d:", protocol)
			plain(t, ctx, c, prefix)
			pipelines(t, ctx, c, prefix)
			watched(t, ctx, c, prefix)
			ownCommands(t, ctx, c, prefix)
		})
	}
}

// same compares, and reports what call it was.
func same[T comparable](t *testing.T, call string, got, want T, err error) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("%s gives %v, %v, want %v", call, got, err, want)
	}
}

func plain(t *testing.T, ctx context.Context, c *redis.Client, p string) {
	set, err := c.Set(ctx, p+"k", "v", time.Hour).Result()
	same(t, "Set", set, "OK", err)
	got, err := c.Get(ctx, p+"k").Result()
	same(t, "Get", got, "v", err)
	if _, err := c.Get(ctx, p+"none").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("Get of a missing key gives %v", err)
	}
	ttl, err := c.TTL(ctx, p+"k").Result()
	if err != nil || ttl <= 0 || ttl > time.Hour {
		t.Errorf("TTL gives %v, %v", ttl, err)
	}
	n, err := c.IncrBy(ctx, p+"n", 5).Result()
	same(t, "IncrBy", n, 5, err)
	f, err := c.IncrByFloat(ctx, p+"f", 1.5).Result()
	same(t, "IncrByFloat", f, 1.5, err)
	ok, err := c.SetNX(ctx, p+"k", "w", 0).Result()
	same(t, "SetNX", ok, false, err)
	many, err := c.MGet(ctx, p+"k", p+"none", p+"n").Result()
	same(t, "MGet", fmt.Sprint(many), "[v <nil> 5]", err)
	keys, _, err := c.Scan(ctx, 0, p+"*", 1000).Result()
	same(t, "Scan", len(keys), 3, err)
	deleted, err := c.Del(ctx, p+"k", p+"none").Result()
	same(t, "Del", deleted, 1, err)
	if err := c.Do(ctx, "NOSUCH").Err(); err == nil || !strings.HasPrefix(err.Error(), "ERR unknown command") {
		t.Errorf("an unknown command gives %v", err)
	}
	if info, err := c.Info(ctx, "server").Result(); err != nil || !strings.Contains(info, "redis_version:") {
		t.Errorf("Info gives %q, %v", info, err)
	}
}

func pipelines(t *testing.T, ctx context.Context, c *redis.Client, p string) {
	results, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range 500 {
			pipe.Set(ctx, fmt.Sprint(p, "pipe", i), i, 0)
			pipe.Incr(ctx, p+"pipes")
		}
		return nil
	})
	same(t, "Pipelined", len(results), 1000, err)
	last, err := results[999].(*redis.IntCmd).Result()
	same(t, "the last of a pipeline", last, 500, err)
	results, err = c.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range 20 {
			pipe.Set(ctx, fmt.Sprint(p, "tx", i), i, 0)
		}
		pipe.Incr(ctx, p+"txs")
		return nil
	})
	same(t, "TxPipelined", len(results), 21, err)
	got, err := c.Get(ctx, p+"tx19").Result()
	same(t, "Get after TxPipelined", got, "19", err)
	_, err = c.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, p+"never", 1, 0)
		pipe.Do(ctx, "NOSUCH")
		return nil
	})
	if err == nil {
		t.Error("a transaction with an unknown command is no error")
	}
	n, err := c.Exists(ctx, p+"never").Result()
	same(t, "Exists after a transaction that was discarded", n, 0, err)
}

// watched counts up in several connections at once: what conflicts is told, and nothing is lost.
func watched(t *testing.T, ctx context.Context, c *redis.Client, p string) {
	const clients, times = 4, 10
	conflicts := make(chan int, clients)
	for range clients {
		go func() {
			lost := 0
			for done := 0; done < times && ctx.Err() == nil; {
				err := c.Watch(ctx, func(tx *redis.Tx) error { return countUp(ctx, tx, p) }, p+"watched")
				switch {
				case err == nil:
					done++
				case errors.Is(err, redis.TxFailedErr) || strings.HasPrefix(err.Error(), "CONFLICT"):
					lost++
				default:
					t.Errorf("Watch gives %v", err)
					done = times
				}
			}
			conflicts <- lost
		}()
	}
	all := 0
	for range clients {
		all += <-conflicts
	}
	got, err := c.Get(ctx, p+"watched").Int()
	same(t, "Get of what was counted under WATCH", got, clients*times, err)
	got, err = c.Get(ctx, p+"beside").Int()
	same(t, "Get of what was counted beside it", got, clients*times, err)
	t.Logf("WATCH: %d transactions ran again", all)
}

func countUp(ctx context.Context, tx *redis.Tx, p string) error {
	n, err := tx.Get(ctx, p+"watched").Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, p+"watched", n+1, 0)
		pipe.Incr(ctx, p+"beside")
		return nil
	})
	return err
}

func ownCommands(t *testing.T, ctx context.Context, c *redis.Client, p string) {
	token, err := c.Do(ctx, "LOCK", p+"lock", "me", 60000).Int64()
	if err != nil || token <= 0 {
		t.Errorf("LOCK gives %d, %v", token, err)
	}
	if err := c.Do(ctx, "LOCK", p+"lock", "you", 60000).Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("LOCK of what somebody has gives %v", err)
	}
	again, err := c.Do(ctx, "LOCK", p+"lock", "me", 60000).Int64()
	same(t, "LOCK again", again, token, err)
	revision, err := c.Do(ctx, "KSET", p+"rev", "x").Int64()
	same(t, "KSET", revision, 1, err)
	meta, err := c.Do(ctx, "KGET", p+"rev", "META").Result()
	if err != nil || !strings.Contains(fmt.Sprint(meta), "revision") {
		t.Errorf("KGET META gives %v, %v", meta, err)
	}
	numbers, err := c.Do(ctx, "SEQNEXT", p+"seq", "COUNT", 10).Int64Slice()
	same(t, "SEQNEXT COUNT", fmt.Sprint(numbers), "[1 10 1]", err)
}

// TestRedisCLI runs the stock redis-cli.
func TestRedisCLI(t *testing.T) {
	path, err := exec.LookPath("redis-cli")
	if err != nil {
		lack(t, "redis-cli is not installed")
	}
	s := start(t, rig.Options{Dir: t.TempDir()})
	_, port, _ := net.SplitHostPort(s.Listen)
	cli := func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command(path, append([]string{"-p", port}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("redis-cli %q: %v: %s", args, err, out)
		}
		return strings.TrimRight(string(out), "\n")
	}
	token := cli("", "LOCK", "deploy", "ci:42", "30000")
	if n, err := strconv.ParseInt(token, 10, 64); err != nil || n < 1<<40 {
		t.Errorf("LOCK prints %q", token)
	}
	for _, c := range []struct {
		want string
		args string
	}{
		{"", "LOCK deploy ci:43 30000"},
		{"(nil)", "--no-raw LOCK deploy ci:43 30000"},
		{token, "-3 LOCK deploy ci:42 30000"},
		{"1", "UNLOCK deploy ci:42"},
		{"(integer) 1", "--no-raw KSET config/color green"},
		{"2", "KSET config/color blue IFREV 1"},
		{"(nil)", "--no-raw KSET config/color red IFREV 1"},
		{"green", "KGET config/color REV 1"},
		{"1", "SEQNEXT invoices"},
		{"2\n101\n1", "SEQNEXT invoices COUNT 100"},
		{"1) (integer) 102\n2) (integer) 111\n3) (integer) 1", "--no-raw -3 SEQNEXT invoices COUNT 10"},
		{"null", "--json LOCKINFO deploy"},
		{"\"blue\"", "--json KGET config/color"},
	} {
		if got := cli("", strings.Fields(c.args)...); got != c.want {
			t.Errorf("redis-cli %s prints %q, want %q", c.args, got, c.want)
		}
	}
	if got := cli("", "--json", "KGET", "config/color", "META"); !strings.Contains(got, `"revision":2`) || !strings.HasPrefix(got, "{") {
		t.Errorf("--json KGET META prints %s", got)
	}
	got := cli("MULTI\nSET balance:a 50\nSEQNEXT transfers\nEXEC\n")
	if want := "OK\nQUEUED\nQUEUED\nOK\n1"; got != want {
		t.Errorf("MULTI prints %q, want %q", got, want)
	}
}

// TestLikeRedis plays the scripts of the commands that Redis has on the real program and on the real Redis.
func TestLikeRedis(t *testing.T) {
	redisAddr := scripttest.Redis(t)
	s := start(t, rig.Options{Dir: t.TempDir()})
	for _, name := range []string{"redis", "hashes"} {
		steps := scripttest.Load(t, filepath.Join(root, "commands", "testdata", name+".script"))
		n := scripttest.Compare(t, steps, scripttest.Dial(t, redisAddr), scripttest.Dial(t, s.Listen))
		t.Logf("%s: %d commands compared", name, n)
		if n < 100 {
			t.Errorf("vacuous: %d commands compared", n)
		}
	}
}
