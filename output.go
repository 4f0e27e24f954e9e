package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"
)

// print prints what a command found out: as text and a line end, or as JSON.
func (p program) print(c *cli.Context, text, object any) error {
	if c.Bool("json") {
		return p.printJSON(object)
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}

func (p program) printJSON(object any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(object)
}

// no ends a command whose answer is no: JSON says null, a person is told why.
func (p program) no(c *cli.Context, why error) error {
	if c.Bool("json") {
		if err := p.printJSON(nil); err != nil {
			return err
		}
		return &failure{code: exitNo}
	}
	return &failure{exitNo, why}
}

// count holds that there are from least to most arguments.
func count(c *cli.Context, args []string, least, most int) error {
	switch help := "see kahuna " + c.Command.HelpName + " --help"; {
	case len(args) < least:
		return usage(fmt.Errorf("%s is missing; %s", c.Command.ArgsUsage, help))
	case len(args) > most:
		return usage(fmt.Errorf("%q is one argument too many; %s", args[most], help))
	}
	return nil
}
