package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"kahuna/demo"
)

const demoNodesDefault = 3

func (p program) demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "run a whole cluster on this machine until Ctrl-C, to try things out",
		Description: "Starts the nodes as processes on loopback, waits until they serve, and prints how to talk to them. A node that\n" +
			"dies is started again after a few seconds. In the end all nodes are stopped and their data is removed, unless --dir is given.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "nodes", Usage: fmt.Sprintf("how many, 1 to %d", demo.NodesMax), Value: demoNodesDefault},
			&cli.StringFlag{Name: "dir", Usage: "keep the cluster in this directory, or go on with the one that is there", DefaultText: "a temporary one"},
			&cli.IntFlag{Name: "port", Usage: "first port; each node takes four", DefaultText: "free ones"},
		},
		OnUsageError: usageError,
		Action:       p.demo,
	}
}

func (p program) demo(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	// A second signal changes nothing: nodes and files are cleared away, which takes a bounded time.
	ctx, release := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer release()
	err = demo.Run(ctx, demo.Options{Binary: binary, Environ: p.environ, Nodes: c.Int("nodes"), Dir: c.String("dir"), Port: c.Int("port"), Out: p.out, Notices: p.log})
	if errors.Is(err, demo.ErrOptions) {
		return usage(err)
	}
	return err
}
