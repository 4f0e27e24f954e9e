// Command kahuna is a coordination server: locks, versioned keys, sequences and transactions, replicated by Raft, spoken to
// in the Redis protocol. `kahuna server` runs it; `kahuna help` lists the other commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"kahuna/version"
)

func main() {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	p := program{out: os.Stdout, log: os.Stderr, environ: os.Environ(), open: openNode, exit: os.Exit}
	os.Exit(p.run(context.Background(), os.Args))
}

// program is the process as its commands see it, so that tests can run it as another.
type program struct {
	out     io.Writer // for what was asked for
	log     io.Writer // for errors and log lines
	environ []string
	open    opener
	exit    func(code int) // ends the process at once
}

// run runs one command line and returns the process's exit code.
func (p program) run(ctx context.Context, args []string) int {
	err := p.app().RunContext(ctx, args)
	if f := (*failure)(nil); err != nil && !(errors.As(err, &f) && f.err == nil) {
		fmt.Fprintf(p.log, "kahuna: %v\n", err)
	}
	return exitCode(err)
}

func (p program) app() *cli.App {
	return &cli.App{
		Name:           "kahuna",
		Usage:          "a coordination server: locks, keys, sequences and transactions in the Redis protocol",
		HideVersion:    true,
		Writer:         p.out,
		ErrWriter:      p.log,
		ExitErrHandler: func(*cli.Context, error) {}, // run does it
		OnUsageError:   usageError,
		Action:         noCommand,
		Commands: []*cli.Command{p.serverCommand(), p.lockCommand(), p.seqCommand(), p.kvCommand(), p.pingCommand(), p.demoCommand(),
			p.versionCommand()},
	}
}

// noCommand is what happens without a command, or with one that there is not.
func noCommand(c *cli.Context) error {
	if c.Args().Present() {
		return usage(fmt.Errorf("there is no command %q; see kahuna help", c.Args().First()))
	}
	return cli.ShowAppHelp(c)
}

func (p program) versionCommand() *cli.Command {
	return &cli.Command{
		Name:         "version",
		Usage:        "print which build this is",
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.out, version.Get())
			return err
		},
	}
}

func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usage(fmt.Errorf("%q is one argument too many; see kahuna %s --help", c.Args().First(), c.Command.Name))
	}
	return nil
}

// usageError is what a flag that is none, or has a wrong value, ends with.
func usageError(c *cli.Context, err error, _ bool) error {
	help := "kahuna --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != c.App.Name {
		help = "kahuna " + c.Command.Name + " --help"
	}
	return usage(fmt.Errorf("%w; see %s", err, help))
}

// Exit codes, after sysexits.h where that has one.
const (
	exitFault        = 1   // the server stopped because of a fault
	exitNo           = 1   // kv, seq: the answer is no, as of a key that is not there
	exitUsage        = 64  // the command line is wrong
	exitRefused      = 65  // the server refused the call
	exitUnavailable  = 69  // no server answers, or no quorum; nothing was changed
	exitUncertain    = 74  // kv, seq: the call may or may not have taken effect
	exitLost         = 74  // lock: the lock was lost and the command stopped
	exitBusy         = 75  // lock: others hold it; server: another process has the data directory or a port
	exitNoPermission = 77  // the password is wrong, or the user may not do this
	exitSetting      = 78  // a setting is wrong
	exitNotRun       = 126 // lock: the command can't be run
	exitNotFound     = 127 // lock: there is no such command
)

// failure is an error that has an exit code of its own. Without an error in it nothing is printed.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

func usage(err error) error { return &failure{exitUsage, err} }

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if f := (*failure)(nil); errors.As(err, &f) {
		return f.code
	}
	return exitFault
}
