package hub_test

import (
	"context"
	"errors"
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
