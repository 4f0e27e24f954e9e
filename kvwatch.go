package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"kahuna/client"
)

// watchBlock is how long one call of kv watch waits for changes. The next goes on where it ended.
const watchBlock = 30 * time.Second

func (p program) kvWatchCommand(flags []cli.Flag) *cli.Command {
	return clientCommand("watch", "PREFIX", "print what happens to the keys with a prefix, a line for each change, until it is stopped: timestamp, revision, key and value (none: it was deleted)",
		append([]cli.Flag{
			&cli.Int64Flag{Name: "since", Usage: "begin after this timestamp, which --json shows; also Unix milliseconds, or negative: milliseconds ago", DefaultText: "now"},
			&cli.Uint64Flag{Name: "count", Usage: "end after so many changes", DefaultText: "no end"}}, flags...), p.kvWatch)
}

func (p program) kvWatch(c *cli.Context, args, rest []string) error {
	args = append(args, rest...)
	if err := count(c, args, 1, 1); err != nil {
		return err
	}
	o, err := p.clientOptions(c)
	if err != nil {
		return err
	}
	w := watcher{p: p, c: c, client: client.New(o), prefix: args[0], left: c.Uint64("count")}
	defer w.client.Close()
	// The first call only says from where on, so that it can be repeated like the others.
	first := []string{}
	if c.IsSet("since") {
		first = []string{"SINCE", strconv.FormatInt(c.Int64("since"), 10)}
	}
	for more := first; ; more = []string{"SINCE", w.since, "BLOCK", strconv.FormatInt(watchBlock.Milliseconds(), 10)} {
		if over, err := w.page(more); err != nil || over {
			return err
		}
	}
}

// watcher is a kv watch under way.
type watcher struct {
	p      program
	c      *cli.Context
	client *client.Client
	prefix string
	since  string // everything up to this timestamp was printed
	left   uint64 // changes to print; 0: no end
}

// page prints what one call tells. over: as much was printed as was wanted.
func (w *watcher) page(more []string) (over bool, err error) {
	ctx, cancel := context.WithTimeout(w.c.Context, watchBlock+w.c.Duration("timeout"))
	defer cancel()
	var reply client.Reply
	err = w.client.Try(ctx, client.Policy{Attempt: watchBlock + w.c.Duration("timeout")/2, Unreachable: w.c.Duration("timeout"), Repeatable: true},
		func(ctx context.Context) (err error) {
			reply, err = w.client.Do(ctx, append([]string{"KCHANGES", w.prefix}, more...)...)
			return err
		})
	if err != nil {
		return false, clientFailure(err)
	}
	if len(reply.Parts) != 2 {
		return false, errors.New("the server's answer to KCHANGES can't be read")
	}
	w.since = strconv.FormatInt(reply.Parts[0].Int, 10)
	for i := range reply.Parts[1].Parts {
		if err := w.change(reply.Parts[1].Parts[i].Parts); err != nil {
			return false, err
		}
		if w.left == 1 {
			return true, nil
		}
		w.left -= min(w.left, 1)
	}
	return false, nil
}

// change prints one change: timestamp, key, revision, and the value, which may be nil or missing.
func (w *watcher) change(parts []client.Reply) error {
	if len(parts) < 3 {
		return errors.New("the server's answer to KCHANGES can't be read")
	}
	ts, key, revision := parts[0].Int, parts[1].Text, parts[2].Int
	text := fmt.Sprintf("%d\t%d\t%s", ts, revision, key)
	object := map[string]any{"key": key, "deleted": true}
	switch {
	case len(parts) == 3:
		object = map[string]any{"key": key, "kept": false}
	case !parts[3].Nil():
		text += "\t" + parts[3].Text
		object = versionObject(&client.Reply{}, key, parts[3].Text)
	}
	object["timestamp"], object["revision"] = ts, revision
	return w.p.print(w.c, text, object)
}
