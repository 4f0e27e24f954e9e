// Package client is a small client of the Redis protocol for the program's own commands (kahuna lock, seq, kv, ping).
//
// It knows several addresses and one connection at a time, and every error says what is known of the end of the call: nothing
// was changed (Unchanged), it may or may not have taken effect (Uncertain), or the server refused it (*ServerError). A call is
// repeated only by Try, and only as far as the caller says that a repetition is safe.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"kahuna/resp"
)

// Options say where the servers are, and who the client is.
type Options struct {
	Addrs       []string // HOST:PORT each, one at least; the first that answers is used
	User        string   // empty: the default user
	Password    string   // empty: no AUTH is sent
	TLS         *tls.Config
	DialTimeout time.Duration // for connecting to one address, TLS and AUTH included; 0: 2 s
	// Dial connects; nil: a net.Dialer that finds dead hosts within some 20 s also while a call blocks.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

const dialTimeoutDefault = 2 * time.Second

// Client talks to one of several servers. It connects when it is first used and again whenever that is needed. It belongs to
// one goroutine at a time.
type Client struct {
	o    Options
	next int // the address to try first
	conn *conn
}

// New makes a client that is not connected yet.
func New(o Options) *Client {
	if o.DialTimeout <= 0 {
		o.DialTimeout = dialTimeoutDefault
	}
	if o.Dial == nil {
		d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3}}
		o.Dial = d.DialContext
	}
	return &Client{o: o}
}

// Close ends the connection.
func (c *Client) Close() { c.drop() }

// Addr is the address in use, or the one that is tried next.
func (c *Client) Addr() string { return c.o.Addrs[c.next] }

// Do sends one command and gives its reply. A reply that is an error comes back as a *ServerError.
func (c *Client) Do(ctx context.Context, args ...string) (Reply, error) {
	replies, err := c.Pipeline(ctx, args)
	if err != nil {
		return Reply{}, err
	}
	return replies[0], replies[0].Err()
}

// Pipeline sends commands in one write and gives the reply to each; those may be errors. An error of Pipeline itself is an
// *UnreachableError, a *BrokenError, or the server's refusal of the client (AUTH).
func (c *Client) Pipeline(ctx context.Context, commands ...[]string) ([]Reply, error) {
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	replies, err := c.conn.exchange(ctx, commands)
	if err != nil {
		addr := c.Addr()
		c.leave()
		return nil, &BrokenError{addr, err}
	}
	return replies, nil
}

// leave ends the connection, so that the next call begins with the next address.
func (c *Client) leave() {
	c.drop()
	c.next = (c.next + 1) % len(c.o.Addrs)
}

func (c *Client) drop() {
	if c.conn != nil {
		c.conn.net.Close()
		c.conn = nil
	}
}

// connect tries each address once.
func (c *Client) connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	var failed []error
	for left := len(c.o.Addrs); left > 0; left-- {
		timeout := c.o.DialTimeout
		if deadline, ok := ctx.Deadline(); ok {
			timeout = min(timeout, time.Until(deadline)/time.Duration(left))
		}
		err := c.dial(ctx, timeout)
		if err == nil {
			return nil
		}
		if refusal := (*ServerError)(nil); errors.As(err, &refusal) && !Unchanged(err) {
			return err
		}
		failed = append(failed, err)
		c.leave()
		if ctx.Err() != nil {
			break
		}
	}
	return &UnreachableError{errors.Join(failed...)}
}

// dial connects to the address that is next.
func (c *Client) dial(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nc, err := c.o.Dial(ctx, "tcp", c.Addr())
	if err != nil {
		return err
	}
	if nc, err = c.secure(ctx, nc); err == nil {
		c.conn = newConn(nc)
		err = c.authenticate(ctx)
	}
	if err != nil {
		nc.Close()
		c.conn = nil
		return fmt.Errorf("%s: %w", c.Addr(), err)
	}
	return nil
}

func (c *Client) secure(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if c.o.TLS == nil {
		return nc, nil
	}
	config := c.o.TLS
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(c.Addr())
	}
	secured := tls.Client(nc, config)
	return secured, secured.HandshakeContext(ctx)
}

func (c *Client) authenticate(ctx context.Context) error {
	if c.o.Password == "" {
		return nil
	}
	auth := []string{"AUTH", c.o.Password}
	if c.o.User != "" {
		auth = []string{"AUTH", c.o.User, c.o.Password}
	}
	replies, err := c.conn.exchange(ctx, [][]string{auth})
	if err != nil {
		return err
	}
	return replies[0].Err()
}

// encode is commands as they go over the wire.
func encode(commands [][]string) []byte {
	var w resp.Writer
	for _, args := range commands {
		w.Array(len(args))
		for _, a := range args {
			w.BulkString(a)
		}
	}
	return w.Bytes()
}
