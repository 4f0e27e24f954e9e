package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"kahuna/client"
)

const callExitCodes = `Exit codes: 1 the answer is no (there is none, or a condition did not hold); 64 the command line is wrong;
65 the server refused the call; 69 no server answers, nothing was changed; 74 the call may or may not have
taken effect; 77 no permission.`

func (p program) seqCommand() *cli.Command {
	common := func(more ...cli.Flag) []cli.Flag {
		return append(append(more, timeoutFlag(), jsonFlag()), clientFlags()...)
	}
	all := []*cli.Command{
		clientCommand("next", "NAME", "print the next value; with --count the first, the last and the step of a run of values",
			common(&cli.Int64Flag{Name: "count", Usage: "take so many values", DefaultText: "one value"},
				&cli.StringFlag{Name: "idem", Usage: "the same key gets the same answer again: give one, and a call whose end is unknown is repeated safely"}), p.seqNext),
		clientCommand("get", "NAME", "print a sequence's settings and its last value, a line each", common(), p.seqGet),
		clientCommand("create", "NAME", "make a sequence; it may exist with the same settings",
			common(number("start", "the first value"), number("step", "between values, may be negative"), number("min", "the smallest value"),
				number("max", "the largest value"), &cli.BoolFlag{Name: "cycle", Usage: "begin again after the last"}), p.seqCreate),
	}
	for _, c := range all {
		c.Description = callExitCodes
	}
	return group("seq", "take numbers from sequences", all...)
}

// number is a flag whose default the server knows.
func number(name, text string) cli.Flag {
	return &cli.Int64Flag{Name: name, Usage: text, DefaultText: "the server's default"}
}

func (p program) seqNext(c *cli.Context, args, rest []string) error {
	args = append(args, rest...)
	if err := count(c, args, 1, 1); err != nil {
		return err
	}
	call := []string{"SEQNEXT", args[0]}
	if c.IsSet("count") {
		call = append(call, "COUNT", strconv.FormatInt(c.Int64("count"), 10))
	}
	if c.IsSet("idem") {
		call = append(call, "IDEM", c.String("idem"))
	}
	r, err := p.call(c, c.IsSet("idem"), call...)
	if err != nil {
		return err
	}
	if len(r.Parts) != 3 {
		return p.print(c, r.Int, map[string]any{"value": r.Int})
	}
	first, last, step := r.Parts[0].Int, r.Parts[1].Int, r.Parts[2].Int
	return p.print(c, fmt.Sprintf("%d %d %d", first, last, step), map[string]any{"first": first, "last": last, "step": step})
}

func (p program) seqGet(c *cli.Context, args, rest []string) error {
	args = append(args, rest...)
	if err := count(c, args, 1, 1); err != nil {
		return err
	}
	r, err := p.read(c, "SEQGET", args[0])
	if err != nil {
		return err
	}
	if r.Nil() {
		return p.no(c, fmt.Errorf("there is no sequence %q", args[0]))
	}
	var lines []string
	object := map[string]any{}
	for i := 0; i+1 < len(r.Parts); i += 2 {
		name, value := r.Parts[i].Text, plain(&r.Parts[i+1])
		if name == "cycle" {
			value = r.Parts[i+1].Int == 1
		}
		if object[name] = value; value == nil {
			value = ""
		}
		lines = append(lines, fmt.Sprintf("%s %v", name, value))
	}
	return p.print(c, strings.Join(lines, "\n"), object)
}

// plain is a value of a map as JSON has it.
func plain(r *client.Reply) any {
	switch {
	case r.Nil():
		return nil
	case r.Kind == ':':
		return r.Int
	}
	return r.Text
}

func (p program) seqCreate(c *cli.Context, args, rest []string) error {
	args = append(args, rest...)
	if err := count(c, args, 1, 1); err != nil {
		return err
	}
	call := []string{"SEQCREATE", args[0]}
	for _, name := range []string{"start", "step", "min", "max"} {
		if c.IsSet(name) {
			call = append(call, name, strconv.FormatInt(c.Int64(name), 10))
		}
	}
	if c.Bool("cycle") {
		call = append(call, "CYCLE")
	}
	if _, err := p.call(c, true, call...); err != nil { // a repetition finds the same settings
		return err
	}
	return p.print(c, "OK", map[string]any{"created": args[0]})
}
