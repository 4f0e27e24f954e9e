package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kahuna/tests/cluster/fleet"
)

// keepDir is where a failed run leaves what it has; empty when it can't be made.
func (c *campaign) keepDir() string {
	if err := os.MkdirAll(c.o.keep, 0o700); err != nil {
		c.say("%v", err)
		return ""
	}
	return c.o.keep
}

// failed keeps what there is of a failed run, and says where.
func (c *campaign) failed(err error) error {
	if c.ctx.Err() != nil && !errors.As(err, new(*violation)) {
		return err
	}
	dir := c.keepDir()
	var kept error
	if c.round != nil {
		r := c.round
		kept = errors.Join(r.world.Save(filepath.Join(dir, "history.txt")), save(filepath.Join(dir, "appends.txt"), r.appends.History()),
			save(filepath.Join(dir, "bank.txt"), r.bank.History()))
		for i, f := range r.feeds {
			kept = errors.Join(kept, save(filepath.Join(dir, fmt.Sprintf("feed%d.txt", i)), f.History()))
		}
	}
	members := c.fleet.Members()
	c.fleet.Kill(members...)
	for i := range c.fleet.Size() {
		if log, err := os.ReadFile(c.fleet.LogFile(i)); err == nil {
			kept = errors.Join(kept, os.WriteFile(filepath.Join(dir, fleet.Name(i)+".log"), log, 0o600))
		}
	}
	for _, i := range members {
		to := filepath.Join(dir, fleet.Name(i))
		kept = errors.Join(kept, os.RemoveAll(to), os.CopyFS(to, os.DirFS(c.fleet.DataDir(i))))
	}
	c.report("campaign: failed in a round that is not in these figures")
	return fmt.Errorf("%w\nkept in %s: history.txt, appends.txt, bank.txt, feed*.txt, the nodes' logs and data (%v)", err, dir, kept)
}

func save(path string, lines []string) error {
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}
