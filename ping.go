package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"kahuna/config"
)

// pingReplyBytesMax bounds the line that is read as an answer.
const pingReplyBytesMax = 1024

// pingTimeoutDefault is for all of connecting, sending and being answered.
const pingTimeoutDefault = 2 * time.Second

func (p program) pingCommand() *cli.Command {
	return &cli.Command{
		Name:  "ping",
		Usage: "ask a server whether it answers: prints PONG, or fails with exit code 69",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Usage: "HOST:PORT of the server", DefaultText: "$KAHUNA_LISTEN, else " + config.Default().Listen},
			&cli.DurationFlag{Name: "timeout", Usage: "how long to wait", Value: pingTimeoutDefault},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			reply, err := p.ping(c.Context, c.String("addr"), c.Duration("timeout"))
			if err != nil {
				return &failure{exitUnavailable, err}
			}
			_, err = fmt.Fprintln(p.out, reply)
			return err
		},
	}
}

// ping asks the server at addr; empty means the one that these settings would start.
func (p program) ping(ctx context.Context, addr string, timeout time.Duration) (string, error) {
	if addr == "" {
		cfg, err := config.Load(config.Sources{Flag: noFlag, Environ: onlyListen(p.environ)})
		if err != nil {
			return "", err
		}
		addr = reachable(cfg.Listen)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("no server answers: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	return askPing(conn)
}

func askPing(conn io.ReadWriter) (string, error) {
	if _, err := io.WriteString(conn, "*1\r\n$4\r\nPING\r\n"); err != nil {
		return "", fmt.Errorf("the server takes no command: %w", err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, pingReplyBytesMax)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the server does not answer: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line != "+PONG" {
		return "", errors.New("the server answers " + line)
	}
	return "PONG", nil
}

func noFlag(string) (string, bool) { return "", false }

// onlyListen keeps of an environment the one setting that ping needs: the others may be wrong without harm to it.
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
