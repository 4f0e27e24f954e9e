package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// asProgram in the environment makes the test binary run as the program, with a fake node, so that tests can start it as a
// process of its own.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		p := program{out: os.Stdout, log: os.Stderr, environ: os.Environ(), open: openFake, exit: os.Exit}
		os.Exit(p.run(context.Background(), os.Args))
	}
	os.Exit(m.Run())
}

// command runs a command line in this process and gives its exit code and what it printed.
func command(environ []string, args ...string) (code int, out, log string) {
	var o, l bytes.Buffer
	p := program{out: &o, log: &l, environ: environ, open: openFake, exit: func(int) { panic("exit") }}
	code = p.run(context.Background(), append([]string{"kahuna"}, args...))
	return code, o.String(), l.String()
}

func TestCommandLine(t *testing.T) {
	tests := map[string]struct {
		args []string
		env  []string
		code int
		out  string
		log  string
	}{
		"no command":      {nil, nil, 0, "server", ""},
		"help":            {[]string{"help"}, nil, 0, "ping", ""},
		"help of server":  {[]string{"server", "--help"}, nil, 0, "$KAHUNA_DATA_DIR", ""},
		"version":         {[]string{"version"}, nil, 0, "kahuna ", ""},
		"version, more":   {[]string{"version", "x"}, nil, 64, "", `"x" is one argument too many`},
		"no such command": {[]string{"sevrer"}, nil, 64, "", `there is no command "sevrer"`},
		"no such flag":    {[]string{"server", "--datadir", "x"}, nil, 64, "", "-datadir"},
		"server, more":    {[]string{"server", "x"}, nil, 64, "", `"x" is one argument too many`},
		"bad flag":        {[]string{"server", "--partitions", "0"}, nil, 78, "", "flag --partitions: 0 is not allowed"},
		"bad variable":    {[]string{"server"}, []string{"KAHUNA_PARTITIONS=0"}, 78, "", "environment variable KAHUNA_PARTITIONS"},
		"no such file":    {[]string{"server", "--config", "/nonexistent.toml"}, nil, 78, "", "/nonexistent.toml"},
		"bad port":        {[]string{"server", "--listen", "6379"}, nil, 78, "", "HOST:PORT"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			code, out, log := command(test.env, test.args...)
			if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(log, test.log) {
				t.Errorf("exit %d, printed %q, logged %q; want %d, %q, %q", code, out, log, test.code, test.out, test.log)
			}
		})
	}
}
