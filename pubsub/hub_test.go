package pubsub

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// inbox keeps what was delivered.
type inbox struct {
	mu  sync.Mutex
	got []string
}

func (b *inbox) deliver(m *Message, pattern []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, fmt.Sprintf("%s:%s:%s", pattern, m.Channel, m.Payload))
}

func (b *inbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	slices.Sort(got)
	return got
}

func message(channel, payload string) Message {
	return Message{Channel: []byte(channel), Payload: []byte(payload)}
}

func TestDelivery(t *testing.T) {
	h := New(nil)
	var a, b inbox
	one, two := h.Subscriber(a.deliver), h.Subscriber(b.deliver)
	one.Subscribe(Channel, []byte("news"))
	one.Subscribe(Channel, []byte("news"))
	one.Subscribe(Pattern, []byte("n*"))
	two.Subscribe(Pattern, []byte("*s"))
	two.Subscribe(Shard, []byte("news"))
	if n := h.Publish(message("news", "1")); n != 3 {
		t.Errorf("delivered %d times, want 3", n)
	}
	if got := a.take(); !slices.Equal(got, []string{":news:1", "n*:news:1"}) {
		t.Errorf("one got %v", got)
	}
	if got := b.take(); !slices.Equal(got, []string{"*s:news:1"}) {
		t.Errorf("two got %v", got)
	}
	if n := h.Publish(Message{Shard: true, Channel: []byte("news"), Payload: []byte("2")}); n != 1 {
		t.Errorf("a shard message was delivered %d times", n)
	}
	if got := b.take(); !slices.Equal(got, []string{":news:2"}) {
		t.Errorf("two got %v", got)
	}
	one.Unsubscribe(Channel, []byte("news"))
	two.Close()
	if n := h.Receivers(message("news", "3")); n != 1 {
		t.Errorf("%d receivers after the others left", n)
	}
	one.Close()
	if h.Listening() || len(h.Names(Pattern, nil)) != 0 || h.Count(Channel) != 0 {
		t.Error("something is left after all were closed")
	}
}

func TestNames(t *testing.T) {
	h := New(nil)
	var box inbox
	s := h.Subscriber(box.deliver)
	for _, name := range []string{"b", "a", "ab"} {
		s.Subscribe(Channel, []byte(name))
	}
	if got := h.Names(Channel, []byte("a*")); !slices.Equal(got, []string{"a", "ab"}) {
		t.Errorf("%v", got)
	}
	if got := s.Names(Channel); !slices.Equal(got, []string{"a", "ab", "b"}) {
		t.Errorf("%v", got)
	}
	if n := h.Members(Channel, []byte("a")); n != 1 {
		t.Errorf("%d members", n)
	}
}

// TestForward sees that what is published goes to the other nodes once, and what came from them does not go back.
func TestForward(t *testing.T) {
	var sent []string
	h := New(func(m Message) { sent = append(sent, string(m.Payload)) })
	h.Publish(message("c", "1"))
	h.Local(message("c", "2"))
	if !slices.Equal(sent, []string{"1"}) {
		t.Errorf("sent %v", sent)
	}
}

// TestNothingAfterUnsubscribe sees that a delivery never comes after Unsubscribe has returned: a client in RESP2 would take it
// for the reply to its next command.
func TestNothingAfterUnsubscribe(t *testing.T) {
	h := New(nil)
	stop, joined := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(joined)
		for {
			select {
			case <-stop:
				return
			default:
				h.Publish(message("c", "x"))
			}
		}
	}()
	for range 2000 {
		var mu sync.Mutex
		over := false
		s := h.Subscriber(func(*Message, []byte) {
			mu.Lock()
			defer mu.Unlock()
			if over {
				t.Error("delivered after Unsubscribe")
			}
		})
		s.Subscribe(Channel, []byte("c"))
		s.Unsubscribe(Channel, []byte("c"))
		mu.Lock()
		over = true
		mu.Unlock()
	}
	close(stop)
	<-joined
}
