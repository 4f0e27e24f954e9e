package main

import (
	"context"
	"time"

	"kahuna/cluster"
	"kahuna/hub"
	"kahuna/pubsub"
)

// callMessages is the kind of call by which nodes give each other what was published.
const callMessages hub.Kind = 0x30

// Limits of what waits to be sent to one other node. A frame between nodes takes more than one such batch.
const (
	relayBytesMax = 8 << 20
	relayTimeout  = 5 * time.Second
)

// messages is pub/sub over the cluster: the subscriptions of this node, and what carries messages to the others.
type messages struct {
	hub   *pubsub.Hub
	relay *pubsub.Relay // nil until connected
}

func newMessages() *messages {
	m := &messages{}
	m.hub = pubsub.New(func(one pubsub.Message) { m.relay.Forward(one) })
	return m
}

// receive takes what another node sends.
func (m *messages) receive(_ context.Context, body []byte) ([]byte, error) {
	return nil, m.hub.Receive(body)
}

// connect lets messages go to the other nodes of n; before the first client is served.
func (m *messages) connect(n *cluster.Node) {
	m.relay = pubsub.NewRelay(pubsub.RelayOptions{Nodes: n.Others, BytesMax: relayBytesMax, Timeout: relayTimeout,
		Send: func(ctx context.Context, node string, body []byte) error {
			_, err := n.Hub().Call(ctx, node, callMessages, body)
			return err
		}})
}

func (m *messages) close() { m.relay.Close() }
