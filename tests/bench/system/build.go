package system

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// kahunaPackage is the import path of the server's program: the root of this module.
const kahunaPackage = "kahuna"

// Build builds the server of this module to a path.
func Build(ctx context.Context, program string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, kahunaPackage).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
