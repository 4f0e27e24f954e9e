package clients

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestGoRedisMessages subscribes with go-redis in both protocols, through its channel, and reads what PUBSUB tells.
func TestGoRedisMessages(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			ctx := t.Context()
			c := redis.NewClient(&redis.Options{Addr: addr, Protocol: protocol, ReadTimeout: time.Minute})
			defer c.Close()
			sub := c.Subscribe(ctx, "go:ch")
			defer sub.Close()
			if err := sub.PSubscribe(ctx, "go:[a-c]*"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := sub.Receive(ctx); err != nil {
					t.Fatal(err)
				}
			}
			const messages = 200
			for i := range messages {
				if n, err := c.Publish(ctx, "go:ch", i).Result(); err != nil || n != 2 {
					t.Fatalf("Publish gives %d, %v", n, err)
				}
			}
			next := map[string]int{}
			in := sub.Channel(redis.WithChannelSize(4 * messages))
			for range 2 * messages {
				m := <-in
				if m.Payload != fmt.Sprint(next[m.Pattern]) {
					t.Fatalf("got %q after %d messages", m.Payload, next[m.Pattern])
				}
				next[m.Pattern]++
			}
			if err := sub.Ping(ctx); err != nil {
				t.Error(err)
			}
			channels, err := c.PubSubChannels(ctx, "go:*").Result()
			if err != nil || !slices.Equal(channels, []string{"go:ch"}) {
				t.Errorf("PubSubChannels gives %v, %v", channels, err)
			}
			counts, err := c.PubSubNumSub(ctx, "go:ch").Result()
			if err != nil || counts["go:ch"] != 1 {
				t.Errorf("PubSubNumSub gives %v, %v", counts, err)
			}
			if err := sub.Unsubscribe(ctx, "go:ch"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestGoRedisTypes calls what go-redis parses itself.
func TestGoRedisTypes(t *testing.T) {
	ctx, c := t.Context(), connect(t)
	c.Set(ctx, "go:k", "v", time.Minute)
	for name, err := range map[string]error{
		"Command":            c.Command(ctx).Err(),
		"CommandList":        c.CommandList(ctx, nil).Err(),
		"ClientInfo":         c.ClientInfo(ctx).Err(),
		"ClientList":         c.ClientList(ctx).Err(),
		"ConfigGet":          c.ConfigGet(ctx, "max*").Err(),
		"ConfigSet":          c.ConfigSet(ctx, "slowlog-max-len", "100").Err(),
		"SlowLogGet":         c.SlowLogGet(ctx, -1).Err(),
		"InfoMap":            c.InfoMap(ctx).Err(),
		"MemoryUsage":        c.MemoryUsage(ctx, "go:k").Err(),
		"ObjectEncoding":     c.ObjectEncoding(ctx, "go:k").Err(),
		"Time":               c.Time(ctx).Err(),
		"ExpireTime":         c.ExpireTime(ctx, "go:k").Err(),
		"GetEx":              c.GetEx(ctx, "go:k", time.Minute).Err(),
		"SetArgs":            c.SetArgs(ctx, "go:k", "w", redis.SetArgs{Mode: "XX", KeepTTL: true}).Err(),
		"Wait":               c.Wait(ctx, 0, 0).Err(),
		"RandomKey":          c.RandomKey(ctx).Err(),
		"CommandGetKeys":     c.CommandGetKeys(ctx, "mset", "a", "1", "b", "2").Err(),
		"LastSave":           c.LastSave(ctx).Err(),
		"ClientKillByFilter": c.ClientKillByFilter(ctx, "ID", "1000000").Err(),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
