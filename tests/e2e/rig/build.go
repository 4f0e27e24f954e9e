// Package rig runs the real program as processes for tests: it builds it once, starts servers on free loopback ports, waits
// until they are ready, ends them by their process id, and makes disks whose power can be cut.
package rig

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds the program of the module at root into dir and gives its path.
func Build(root, dir string) (string, error) {
	path := filepath.Join(dir, "kahuna")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// Main is a package's tests with the program of the module at root built for them, at the path that they find in program. It gives the
// exit code.
func Main(tests interface{ Run() int }, root string, program *string) int {
	dir, err := os.MkdirTemp("", "kahuna-program-")
	if err == nil {
		defer os.RemoveAll(dir)
		*program, err = Build(root, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return tests.Run()
}

// NoteSources looks at every source of the program, so that `go test` knows that a test depends on them: it would show the
// result of an earlier run else. It has no effect before the first test runs.
func NoteSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), "go.") || strings.HasSuffix(d.Name(), ".go") && !strings.HasSuffix(d.Name(), "_test.go"):
			_, err = os.Stat(path)
		}
		return err
	})
}

// Required tells whether what a test needs of the machine must be there: then its absence is a failure, not a skip.
func Required() bool { return os.Getenv("REQUIRE_RIG") == "1" }
