package clients

import (
	"errors"
	"testing"

	"github.com/redis/rueidis"
)

// TestRueidis uses rueidis without its client side cache, which the server refuses.
func TestRueidis(t *testing.T) {
	ctx := t.Context()
	if _, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true}); !errors.Is(err, rueidis.ErrNoCache) {
		t.Errorf("with the cache it gives %v", err)
	}
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Do(ctx, c.B().Set().Key("ru:k").Value("v").Nx().Build()).Error(); err != nil {
		t.Error(err)
	}
	if v, err := c.Do(ctx, c.B().Get().Key("ru:k").Build()).ToString(); err != nil || v != "v" {
		t.Errorf("%q, %v", v, err)
	}
	if token, err := c.Do(ctx, c.B().Arbitrary("LOCK").Keys("ru:lock").Args("me", "60000").Build()).AsInt64(); err != nil || token <= 0 {
		t.Errorf("LOCK gives %d, %v", token, err)
	}
	got := make(chan string, 1)
	subscribed, unhook := c.Dedicate()
	defer unhook()
	lost := subscribed.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) { got <- m.Message }})
	if err := subscribed.Do(ctx, subscribed.B().Subscribe().Channel("ru:ch").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Do(ctx, c.B().Publish().Channel("ru:ch").Message("hi").Build()).AsInt64(); err != nil || n != 1 {
		t.Errorf("PUBLISH gives %d, %v", n, err)
	}
	select {
	case m := <-got:
		if m != "hi" {
			t.Errorf("%q", m)
		}
	case err := <-lost:
		t.Error(err)
	}
}
