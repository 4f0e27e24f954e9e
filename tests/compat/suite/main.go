package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kahuna/tests/e2e/rig"
)

// unitTimeout bounds one unit; the slowest takes a fraction of it.
const unitTimeout = 5 * time.Minute

func main() {
	unit := flag.String("unit", "", "run this unit only, or these, separated by commas")
	binary := flag.String("server", "", "the program to test; it is built from the sources around when this is empty")
	verbose := flag.Bool("v", false, "print all that the suite prints")
	table := flag.Bool("list", false, "print what does not pass, and why, and run nothing")
	flag.Parse()
	if err := run(*unit, *binary, *verbose, *table); err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

func run(only, binary string, verbose, table bool) error {
	l, err := parseList(expectedText)
	if err != nil {
		return err
	}
	units := l.units
	if only != "" {
		units = strings.Split(only, ",")
	}
	if table {
		l.print(units)
		return nil
	}
	dir, err := os.MkdirTemp("", "kahuna-suite")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := suite{dir: dir, binary: binary, verbose: verbose}
	if err := s.prepare(); err != nil {
		return err
	}
	return s.runAll(units, l)
}

func (l *list) print(units []string) {
	for _, unit := range units {
		for name, x := range l.byUnit[unit] {
			fmt.Printf("%s\t%s\t%s\n", unit, name, x.reason)
		}
	}
}

// suite is the unpacked test-suite and the program that it is run against.
type suite struct {
	dir     string
	root    string // of the suite
	binary  string
	verbose bool
}

func (s *suite) prepare() error {
	archive, err := source()
	if err != nil {
		return err
	}
	if s.root, err = unpack(archive, s.dir); err != nil {
		return err
	}
	if s.binary == "" {
		s.binary, err = rig.Build(".", s.dir)
	}
	return err
}

// runAll runs units one after the other and prints what each came to.
func (s *suite) runAll(units []string, l *list) error {
	wrong := 0
	for _, unit := range units {
		began := time.Now()
		o, err := s.run(unit, l.byUnit[unit])
		if err != nil {
			return fmt.Errorf("%s: %w", unit, err)
		}
		differences := o.compare(l.byUnit[unit])
		wrong += len(differences)
		fmt.Printf("%-24s %3d passed, %3d do not as expected, %3d not for servers from outside, %2d wrong, %d s\n", unit, len(o.passed),
			len(o.skipped)+len(o.failed), o.excluded, len(differences), int(time.Since(began).Seconds()))
		for _, d := range differences {
			fmt.Println("   ", d)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d results are not as expected", wrong)
	}
	return nil
}

// run runs one unit against a new server.
func (s *suite) run(unit string, want expectations) (*outcome, error) {
	server, err := rig.Start(rig.Options{Binary: s.binary, Dir: filepath.Join(s.dir, "data-"+strings.ReplaceAll(unit, "/", "-"))})
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	skips := filepath.Join(s.dir, "skip")
	if err := os.WriteFile(skips, []byte(want.skipped()), 0o644); err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(server.Listen, ":")
	ctx, cancel := context.WithTimeout(context.Background(), unitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./runtest", "--host", host, "--port", port, "--single", unit, "--skipfile", skips, "--singledb", "--ignore-encoding",
		"--ignore-digest", "--durable", "--timeout", "60", "--tags", "-needs:debug -needs:repl -needs:reset -needs:save -needs:config-maxmemory")
	cmd.Dir, cmd.Env = s.root, append(os.Environ(), "TERM=dumb")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	if s.verbose {
		fmt.Print(string(out))
	}
	if !server.Running() {
		return nil, fmt.Errorf("the server ended:\n%s", server.Log())
	}
	return parseOutcome(string(out)), nil
}
