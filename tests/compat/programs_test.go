package compat

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"kahuna/tests/e2e/rig"
)

// TestRedisPy runs a program that uses redis-py.
func TestRedisPy(t *testing.T) {
	python := "/usr/bin/python3" // the one that Debian's packages are for
	if err := exec.Command(python, "-c", "import redis").Run(); err != nil {
		if rig.Required() {
			t.Fatal("redis-py is not installed")
		}
		t.Skip("redis-py is not installed (Debian: apt-get install python3-redis)")
	}
	program(t, nil, python, "testdata/clients/redis_py.py", addr, clusterAddr)
}

// TestNode runs a program that uses ioredis, node-redis and, if it is there, redlock.
func TestNode(t *testing.T) {
	modules := os.Getenv("KAHUNA_NODE_MODULES")
	if modules == "" {
		t.Skip("KAHUNA_NODE_MODULES names no node_modules directory with ioredis and redis")
	}
	program(t, []string{"NODE_PATH=" + modules}, "node", "testdata/clients/node.js", addr, clusterAddr)
}

// program runs a program that ends with an error when something is not as it should be.
func program(t *testing.T, env []string, name string, args ...string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
