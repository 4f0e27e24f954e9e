package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"kahuna/client"
)

// stdinBytesMax bounds a value that is read from standard input; the server's limit is far below.
const stdinBytesMax = 64 << 20

func (p program) kvCommand() *cli.Command {
	common := func(more ...cli.Flag) []cli.Flag {
		return append(append(more, timeoutFlag(), jsonFlag()), clientFlags()...)
	}
	ifRev := func() cli.Flag {
		return &cli.Uint64Flag{Name: "if-rev", Usage: "only if this is the key's revision; 0: only if there is no such key", DefaultText: "any"}
	}
	ifValue := func() cli.Flag {
		return &cli.StringFlag{Name: "if-value", Usage: "only if this is the key's value", DefaultText: "any"}
	}
	all := []*cli.Command{
		clientCommand("get", "KEY", "print a key's value",
			common(&cli.Uint64Flag{Name: "rev", Usage: "the value of this revision", DefaultText: "the latest"},
				&cli.Int64Flag{Name: "as-of", Usage: "the value at this time: a timestamp, Unix milliseconds, or negative: milliseconds ago", DefaultText: "now"}), p.kvGet),
		clientCommand("set", "KEY [VALUE]", "set a key and print its new revision; without a value (or with -) it is read from standard input",
			common(ifRev(), ifValue(),
				&cli.BoolFlag{Name: "if-missing", Usage: "only if there is no such key"},
				&cli.BoolFlag{Name: "if-there", Usage: "only if there is such a key"},
				&cli.DurationFlag{Name: "ttl", Usage: "the key expires after this time", DefaultText: "never"},
				&cli.BoolFlag{Name: "keep-ttl", Usage: "the key expires when it did before"}), p.kvSet),
		clientCommand("del", "KEY", "delete a key; fails with exit code 1 when there was none", common(ifRev(), ifValue()), p.kvDel),
		p.kvWatchCommand(common()),
	}
	for _, c := range all {
		c.Description = callExitCodes
	}
	return group("kv", "read and write keys", all...)
}

func (p program) kvGet(c *cli.Context, args, rest []string) error {
	args = append(args, rest...)
	if err := count(c, args, 1, 1); err != nil {
		return err
	}
	call := []string{"KGET", args[0]}
	if c.IsSet("rev") {
		call = append(call, "REV", strconv.FormatUint(c.Uint64("rev"), 10))
	}
	if c.IsSet("as-of") {
		call = append(call, "ASOF", strconv.FormatInt(c.Int64("as-of"), 10))
	}
	r, err := p.read(c, append(call, "META")...)
	if err != nil {
		return err
	}
	value := r.Field("value")
	if r.Nil() || value == nil || value.Nil() {
		return p.no(c, fmt.Errorf("there is no key %q", args[0]))
	}
	return p.print(c, value.Text, versionObject(&r, args[0], value.Text))
}

// versionObject is a version of a key in JSON, which has no bytes: a value that is no text comes in base64.
func versionObject(r *client.Reply, key, value string) map[string]any {
	object := map[string]any{"key": key, "value": value}
	if !utf8.ValidString(value) {
		delete(object, "value")
		object["value-base64"] = []byte(value)
	}
	for _, name := range []string{"revision", "timestamp", "ttl-ms"} {
		if f := r.Field(name); f != nil {
			object[name] = plain(f)
		}
	}
	return object
}

// conditions are what kv set and kv del may depend on.
func conditions(c *cli.Context) (args []string, err error) {
	if c.IsSet("if-rev") {
		args = append(args, "IFREV", strconv.FormatUint(c.Uint64("if-rev"), 10))
	}
	if c.IsSet("if-value") {
		args = append(args, "IFEQ", c.String("if-value"))
	}
	if c.Bool("if-missing") {
		args = append(args, "NX")
	}
	if c.Bool("if-there") {
		args = append(args, "XX")
	}
	if len(args) > 2 || len(args) == 2 && (args[0] == "NX" || args[0] == "XX") {
		return nil, usage(errors.New("only one of the --if- conditions can be given"))
	}
	return args, nil
}

func (p program) kvSet(c *cli.Context, args, rest []string) error {
	args = append(args, rest...)
	if err := count(c, args, 1, 2); err != nil {
		return err
	}
	value, err := valueOf(args[1:])
	if err != nil {
		return err
	}
	more, err := conditions(c)
	if err != nil {
		return err
	}
	if c.IsSet("ttl") {
		more = append(more, "PX", strconv.FormatInt(c.Duration("ttl").Milliseconds(), 10))
	}
	if c.Bool("keep-ttl") {
		more = append(more, "KEEPTTL")
	}
	r, err := p.call(c, false, append([]string{"KSET", args[0], value}, more...)...)
	if err != nil {
		return err
	}
	if r.Nil() {
		return p.no(c, errors.New("the condition does not hold; nothing was changed"))
	}
	return p.print(c, r.Int, map[string]any{"key": args[0], "revision": r.Int})
}

// valueOf is the value on the command line, else on standard input.
func valueOf(args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	b, err := io.ReadAll(io.LimitReader(os.Stdin, stdinBytesMax+1))
	if err == nil && len(b) > stdinBytesMax {
		err = usage(fmt.Errorf("the value is larger than %d bytes", stdinBytesMax))
	}
	return string(b), err
}

func (p program) kvDel(c *cli.Context, args, rest []string) error {
	args = append(args, rest...)
	if err := count(c, args, 1, 1); err != nil {
		return err
	}
	more, err := conditions(c)
	if err != nil {
		return err
	}
	r, err := p.call(c, false, append([]string{"KDEL", args[0]}, more...)...)
	if err != nil {
		return err
	}
	if r.Int == 0 {
		return p.no(c, errors.New("nothing was deleted: there is no such key, or the condition does not hold"))
	}
	return p.print(c, r.Int, map[string]any{"key": args[0], "deleted": r.Int})
}
