package hub_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"kahuna/hub"
	"kahuna/raftgroup"
	"kahuna/raftgroup/simnet"
)

const echo hub.Kind = 0x40

func pair(t *testing.T) (a, b *hub.Hub) {
	net := simnet.New(1)
	a, b = hub.New(net.Node("addr-a"), "a"), hub.New(net.Node("addr-b"), "b")
	a.SetAddresses(map[string]string{"b": "addr-b"})
	b.AddAddress("a", "addr-a")
	return a, b
}

func TestCallsGoToTheirHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.Handle(echo, func(_ context.Context, body []byte) ([]byte, error) {
			switch string(body) {
			case "fail":
				return nil, errors.New("broken")
			case "refuse":
				return nil, raftgroup.ErrUnreachable
			}
			return append([]byte("echo "), body...), nil
		})
		a.Serve()
		b.Serve()
		got, err := a.Call(t.Context(), "b", echo, []byte("x"))
		if err != nil || string(got) != "echo x" {
			t.Errorf("got %q, %v", got, err)
		}
		var remote *hub.RemoteError
		if _, err := a.Call(t.Context(), "b", echo, []byte("fail")); !errors.As(err, &remote) || remote.Text != "broken" {
			t.Errorf("a handler's error arrives as %v", err)
		}
		for what, err := range map[string]error{
			"a refusal":         second(a.Call(t.Context(), "b", echo, []byte("refuse"))),
			"an unknown kind":   second(a.Call(t.Context(), "b", echo+1, nil)),
			"an unknown node":   second(a.Call(t.Context(), "c", echo, nil)),
			"a node of no kind": second(b.Call(t.Context(), "a", echo, nil)),
		} {
			if !errors.Is(err, raftgroup.ErrUnreachable) {
				t.Errorf("%s arrives as %v, which does not say that nothing was done", what, err)
			}
		}
		b.Close()
		if _, err := a.Call(t.Context(), "b", echo, []byte("x")); !errors.Is(err, raftgroup.ErrUnreachable) {
			t.Errorf("a hub that is closed answered %v", err)
		}
	})
}

// raftEcho handles what is for Raft.
type raftEcho struct{}

func (raftEcho) HandleCall(_ context.Context, request []byte) ([]byte, error) { return request, nil }

func (raftEcho) HandleStream(_ context.Context, request []byte, body io.Reader) ([]byte, error) {
	rest, err := io.ReadAll(body)
	return append(request, rest...), err
}

// A node that was made anew at an address answers nothing that is meant for the one that was there before, least of all votes.
func TestANewNodeAtAnOldAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.AddAddress("old b", "addr-b")
		b.Handle(echo, func(_ context.Context, body []byte) ([]byte, error) { return body, nil })
		b.Raft().Serve(raftEcho{})
		a.Serve()
		b.Serve()
		raft := string([]byte{raftgroup.KindFirst, 'x'})
		for node, wanted := range map[string]bool{"b": true, "old b": false} {
			if got, err := a.Call(t.Context(), node, echo, []byte("x")); (err == nil) != wanted || wanted && string(got) != "x" ||
				!wanted && !errors.Is(err, raftgroup.ErrUnreachable) {
				t.Errorf("a call for %s: %q, %v", node, got, err)
			}
			if got, err := a.Raft().Call(t.Context(), node, []byte(raft)); (err == nil) != wanted || wanted && string(got) != raft {
				t.Errorf("a message of Raft for %s: %q, %v", node, got, err)
			}
			if got, err := a.Raft().Stream(t.Context(), node, []byte(raft), strings.NewReader("y")); (err == nil) != wanted || wanted && string(got) != raft+"y" {
				t.Errorf("a stream of Raft for %s: %q, %v", node, got, err)
			}
		}
		if got, err := a.CallAddress(t.Context(), "addr-b", echo, []byte("x")); err != nil || string(got) != "x" {
			t.Errorf("a call to the address: %q, %v", got, err)
		}
	})
}

func TestCloseEndsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		began := make(chan struct{})
		b.Handle(echo, func(ctx context.Context, _ []byte) ([]byte, error) {
			close(began)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		b.Serve()
		ended := make(chan error)
		go func() { ended <- second(a.Call(context.Background(), "b", echo, nil)) }()
		<-began
		b.Close()
		var remote *hub.RemoteError
		if err := <-ended; !errors.As(err, &remote) {
			t.Errorf("the call ended with %v", err)
		}
	})
}

func second(_ []byte, err error) error { return err }
