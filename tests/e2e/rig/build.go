// Package rig runs the real program as processes for tests: it builds it once, starts servers on free loopback ports, waits
// until they are ready, ends them by their process id, and makes disks whose power can be cut.
package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds the program into dir and gives its path.
func Build(dir string) (string, error) {
	path := filepath.Join(dir, "kahuna")
	out, err := exec.Command("go", "build", "-o", path, "kahuna").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// Required tells whether what a test needs of the machine must be there: then its absence is a failure, not a skip.
func Required() bool { return os.Getenv("REQUIRE_RIG") == "1" }
