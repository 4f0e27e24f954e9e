package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestRelay sees that messages arrive at all other nodes in order, and that a node that does not answer delays and costs nobody
// but itself.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var box inbox
		other := New(nil)
		other.Subscriber(box.deliver).Subscribe(Pattern, []byte("*"))
		r := NewRelay(RelayOptions{
			Nodes: func() []string { return []string{"good", "stuck", "gone"} },
			Send: func(ctx context.Context, node string, body []byte) error {
				switch node {
				case "stuck":
					<-ctx.Done()
					return ctx.Err()
				case "gone":
					return errors.New("unreachable")
				}
				return other.Receive(body)
			},
			BytesMax: 1000, Timeout: time.Second,
		})
		h := New(r.Forward)
		begun := time.Now()
		const messages = 50
		for i := range messages {
			h.Publish(Message{Channel: []byte("c"), Payload: fmt.Appendf(nil, "%02d", i), Shard: false})
			synctest.Wait()
		}
		h.Publish(Message{Channel: []byte("c"), Payload: []byte("s"), Shard: true})
		synctest.Wait()
		if time.Since(begun) != 0 {
			t.Error("a publisher waited")
		}
		got := box.take()
		if len(got) != messages || !slices.IsSorted(got) || got[1] != "*:c:01" {
			t.Errorf("the good node got %v", got)
		}
		if n := r.Dropped(); n != messages+1 {
			t.Errorf("%d dropped while one node is gone and the other is stuck", n)
		}
		time.Sleep(time.Minute)
		if n := r.Dropped(); n != 2*(messages+1) {
			t.Errorf("%d dropped in all", n)
		}
		h.Publish(message("c", "last"))
		r.Close()
		r.Forward(message("c", "late"))
	})
}

// TestRelayIsBounded sees that what waits for a node is.
func TestRelayIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most := 0
		r := NewRelay(RelayOptions{
			Nodes: func() []string { return []string{"slow"} },
			Send: func(ctx context.Context, _ string, body []byte) error {
				most = max(most, len(body))
				<-ctx.Done()
				return ctx.Err()
			},
			BytesMax: 1000, Timeout: time.Second,
		})
		defer r.Close()
		for range 100 {
			r.Forward(Message{Channel: []byte("c"), Payload: make([]byte, 100)})
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if most > 1000 || most < 900 || r.Dropped() != 100 {
			t.Errorf("%d bytes at once, %d dropped", most, r.Dropped())
		}
	})
}

func FuzzReceive(f *testing.F) {
	f.Add(appendMessage(appendMessage(nil, &Message{Channel: []byte("c"), Payload: []byte("p")}), &Message{Shard: true}))
	f.Fuzz(func(t *testing.T, body []byte) {
		h := New(nil)
		var again []byte
		h.Subscriber(func(m *Message, _ []byte) { again = appendMessage(again, m) }).Subscribe(Pattern, []byte("*"))
		if err := h.Receive(body); err == nil && countMessages(again) > countMessages(body) {
			t.Errorf("%d messages of %q", countMessages(again), body)
		}
	})
}
