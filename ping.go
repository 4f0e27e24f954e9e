package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"kahuna/client"
	"kahuna/config"
)

// pingTimeoutDefault is for all of connecting, sending and being answered.
const pingTimeoutDefault = 2 * time.Second

func (p program) pingCommand() *cli.Command {
	flags := append([]cli.Flag{
		&cli.DurationFlag{Name: "timeout", Usage: "how long to wait", Value: pingTimeoutDefault}, jsonFlag(),
	}, clientFlags()...)
	return clientCommand("ping", "", "ask a server whether it answers: prints PONG, or fails with exit code 69", flags, p.ping)
}

// ping asks once: it tells how things are now.
func (p program) ping(c *cli.Context, args, rest []string) error {
	if err := count(c, append(args, rest...), 0, 0); err != nil {
		return err
	}
	o, err := p.clientOptions(c)
	if err != nil {
		return err
	}
	cl := client.New(o)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	began := time.Now()
	reply, err := cl.Do(ctx, "PING")
	switch refusal := (*client.ServerError)(nil); {
	case errors.As(err, &refusal) && refusal.Prefix() == "NOAUTH":
		err = nil // who asks for a password is there
	case err == nil && reply.Text != "PONG":
		err = fmt.Errorf("the server answers %.100q", reply.Text)
	}
	if err != nil {
		return &failure{exitUnavailable, hintTLS(&o, err)}
	}
	return p.print(c, "PONG", map[string]any{"addr": cl.Addr(), "reply": "PONG", "microseconds": time.Since(began).Microseconds()})
}

func noFlag(string) (string, bool) { return "", false }

// onlyListen keeps of an environment the one setting that a client needs: the others may be wrong without harm to it.
func onlyListen(environ []string) []string {
	for _, entry := range environ {
		if strings.HasPrefix(entry, config.EnvPrefix+"LISTEN=") {
			return []string{entry}
		}
	}
	return nil
}

// reachable is the address at which a server that listens on addr can be reached from its own machine.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
