package client

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"
)

// conn is one connection.
type conn struct {
	net net.Conn
	in  *bufio.Reader
}

func newConn(nc net.Conn) *conn { return &conn{nc, bufio.NewReader(nc)} }

// past is a deadline that makes a read or write that waits return at once.
var past = time.Unix(1, 0)

// exchange sends commands and reads as many replies. After an error, the end of ctx included, the connection is of no more use.
func (c *conn) exchange(ctx context.Context, commands [][]string) ([]Reply, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline() // none: the zero time, which stands for that here too
	if err := c.net.SetDeadline(deadline); err != nil {
		return nil, err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		c.net.SetDeadline(past) // an error: the connection has ended, which does as well
	})
	replies, err := c.roundTrip(commands)
	if !stop() {
		<-interrupted // or it would strike a later exchange
		if err == nil {
			err = c.net.SetDeadline(time.Time{})
		} else if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
			err = cause
		}
	}
	return replies, err
}

func (c *conn) roundTrip(commands [][]string) ([]Reply, error) {
	if _, err := c.net.Write(encode(commands)); err != nil {
		return nil, err
	}
	replies := make([]Reply, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = read(c.in, 0); err != nil {
			return nil, err
		}
	}
	return replies, nil
}
