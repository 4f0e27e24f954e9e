package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"kahuna/config"
)

func (p program) serverCommand() *cli.Command {
	return &cli.Command{
		Name:  "server",
		Usage: "run a server until SIGTERM or SIGINT",
		Description: "Every flag can also be given as an environment variable (KAHUNA_ and its name in capitals, '_' for '-')\n" +
			"or in a settings file (--config). A flag wins over the environment, that over the file.",
		Flags:        flags(),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			cfg, err := config.Load(config.Sources{Flag: given(c), Environ: p.environ, ReadFile: os.ReadFile})
			if err != nil {
				return &failure{exitSetting, err}
			}
			return p.serve(c, cfg)
		},
	}
}

// serve runs the server of cfg until a signal.
func (p program) serve(c *cli.Context, cfg *config.Config) error {
	log, err := newLogger(p.log, cfg)
	if err != nil {
		return &failure{exitSetting, err}
	}
	for _, name := range config.UnknownEnv(p.environ) {
		if clientVariable(name) {
			continue
		}
		log.Warn().Str("variable", name).Msg("this environment variable is no setting and has no effect")
	}
	warnOfExposure(cfg, log)
	warnOfFileLimit(cfg, log)
	ctx, release := untilSignal(c.Context, log, p.exit)
	defer release()
	return run(ctx, cfg, log, p.open)
}

// flags makes the flags of the settings.
func flags() []cli.Flag {
	settings := config.Settings()
	all := make([]cli.Flag, len(settings))
	for i, s := range settings {
		usage := fmt.Sprintf("%s [$%s]", s.Help, s.Env())
		switch {
		case s.Switch():
			all[i] = &cli.BoolFlag{Name: s.Key, Usage: usage, DefaultText: s.Default}
		case s.Repeats():
			all[i] = &cli.StringSliceFlag{Name: s.Key, Usage: usage, DefaultText: "none"}
		default:
			all[i] = &cli.StringFlag{Name: s.Key, Usage: usage, DefaultText: strings.Trim(s.Default, `"`)}
		}
	}
	return all
}

// given tells which flags stand on the command line, as the text that config reads.
func given(c *cli.Context) func(key string) (string, bool) {
	return func(key string) (string, bool) {
		if !c.IsSet(key) {
			return "", false
		}
		if items, ok := c.Value(key).(cli.StringSlice); ok {
			return strings.Join(items.Value(), ","), true
		}
		return fmt.Sprint(c.Value(key)), true
	}
}
