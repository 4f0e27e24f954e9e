package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/urfave/cli/v2"

	"kahuna/client"
	"kahuna/lockrun"
)

const (
	lockTTLDefault   = 15 * time.Second
	lockGraceDefault = 5 * time.Second // or a third of the ttl, when that is shorter
)

const lockDescription = `The command gets this process's standard input, output and error, and signals; no shell comes in between.
It finds KAHUNA_LOCK_NAME, KAHUNA_LOCK_TOKEN (the fencing token: pass it to what the lock protects),
KAHUNA_LOCK_OWNER and KAHUNA_LOCK_TTL_MS in its environment. Several locks are taken all or nothing.

The lease is renewed at a third of its ttl. A command whose lock can't be renewed is stopped before the
lease ends, with all that it started: SIGTERM, after the grace SIGKILL. What the command leaves running
when it ends by itself is left alone, and no longer protected.

Exit codes: that of the command, 128+n when signal n ended it, 126 or 127 when it could not be started;
75 (or that of -E) the lock is held by others; 74 the lock was lost and the command was stopped;
69 no server answers; 64 the command line is wrong; 65 the server refused the lock; 77 no permission.

EXAMPLES:
   kahuna lock nightly-backup -- /usr/local/bin/backup        # at most one at a time, others fail with 75
   kahuna lock deploy --wait 10m -- ./deploy.sh production    # one after the other
   kahuna lock reports --permits 3 --wait 1h -- ./report      # at most three at a time`

func (p program) lockCommand() *cli.Command {
	flags := append([]cli.Flag{
		&cli.DurationFlag{Name: "wait", Usage: "how long to wait for locks that others hold", DefaultText: "try once"},
		&cli.DurationFlag{Name: "ttl", Usage: "length of a lease: how long the locks stay taken when this process dies", Value: lockTTLDefault},
		&cli.BoolFlag{Name: "shared", Usage: "hold the locks together with other shared holders"},
		&cli.UintFlag{Name: "permits", Usage: "be one of at most so many holders; all must name the same number", DefaultText: "exclusive"},
		&cli.StringFlag{Name: "owner", Usage: "who holds the locks; two with the same owner hold them both", DefaultText: "HOST:PID:RANDOM"},
		&cli.DurationFlag{Name: "grace", Usage: "time between SIGTERM and SIGKILL, at most half of the ttl", DefaultText: "5s, at most a third of the ttl"},
		&cli.StringFlag{Name: "on-lost", Usage: "what happens to the command when the lock is lost: term, kill, continue", Value: string(lockrun.Term)},
		&cli.IntFlag{Name: "E", Usage: "exit code when the locks are held by others", Value: exitBusy},
	}, clientFlags()...)
	command := clientCommand("lock", "NAME... [options] -- COMMAND [ARGUMENT...]", "run a command while holding locks", flags, p.lock)
	command.Description = lockDescription
	return command
}

func (p program) lock(c *cli.Context, names, command []string) error {
	o, err := p.lockOptions(c, names, command)
	if err != nil {
		return err
	}
	status, err := lockrun.Run(c.Context, o)
	if err != nil {
		return lockFailure(err, c.Int("E"))
	}
	if status != 0 {
		return &failure{code: status}
	}
	return nil
}

func (p program) lockOptions(c *cli.Context, names, command []string) (lockrun.Options, error) {
	grace := min(lockGraceDefault, c.Duration("ttl")/3)
	if c.IsSet("grace") {
		grace = c.Duration("grace")
	}
	o := lockrun.Options{
		Lock: lockrun.Lock{Names: distinct(names), Owner: c.String("owner"), TTL: c.Duration("ttl"), Wait: c.Duration("wait"),
			Shared: c.Bool("shared"), Permits: int(c.Uint("permits"))},
		Command: command, Environ: p.environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Grace: grace, OnLost: lockrun.OnLost(c.String("on-lost")), Log: p.log,
	}
	if err := checkLock(c, o); err != nil {
		return o, usage(fmt.Errorf("%w; see kahuna lock --help", err))
	}
	if o.Lock.Owner == "" {
		o.Lock.Owner = newOwner()
	}
	var err error
	o.Client, err = p.clientOptions(c)
	return o, err
}

func checkLock(c *cli.Context, o lockrun.Options) error {
	switch {
	case len(o.Lock.Names) == 0:
		return errors.New("the name of a lock is missing")
	case len(o.Command) == 0:
		return errors.New("the command is missing: it follows --")
	case o.Lock.TTL < lockrun.TTLMin:
		return fmt.Errorf("--ttl must be at least %v", lockrun.TTLMin)
	case o.Lock.Wait < 0 || o.Grace < 0:
		return errors.New("--wait and --grace must not be negative")
	case o.Grace > o.Lock.TTL/2:
		return fmt.Errorf("--grace must be at most half of --ttl, here %v", o.Lock.TTL/2)
	case o.Lock.Shared && c.IsSet("permits"):
		return errors.New("--shared and --permits exclude each other")
	case c.IsSet("permits") && o.Lock.Permits == 0:
		return errors.New("--permits must be at least 1")
	case c.Int("E") < 0 || c.Int("E") > 255:
		return errors.New("-E must be from 0 to 255")
	}
	switch o.OnLost {
	case lockrun.Term, lockrun.Kill, lockrun.Continue:
		return nil
	}
	return fmt.Errorf("--on-lost must be term, kill or continue, not %q", o.OnLost)
}

// distinct is names without those that were there before.
func distinct(names []string) (all []string) {
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			all = append(all, name)
		}
		seen[name] = true
	}
	return all
}

// lockFailure gives what ended a lock its exit code.
func lockFailure(err error, held int) error {
	var (
		heldErr  *lockrun.HeldError
		lostErr  *lockrun.LostError
		startErr *lockrun.StartError
		signaled *lockrun.SignalError
	)
	switch {
	case errors.As(err, &heldErr):
		return &failure{held, err}
	case errors.As(err, &lostErr):
		return &failure{exitLost, err}
	case errors.As(err, &signaled):
		return &failure{code: 128 + int(signaled.Signal)}
	case errors.As(err, &startErr) && (errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist)):
		return &failure{exitNotFound, err}
	case errors.As(err, &startErr):
		return &failure{exitNotRun, err}
	case client.Uncertain(err):
		return &failure{exitUnavailable, err}
	}
	return clientFailure(err)
}
