package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"kahuna/tests/bench/system"
)

// errMissing means that a program is not installed: its system is skipped, which is no failure.
var errMissing = errors.New("not found in PATH")

// find returns how to run a system. Kahuna is built into dir unless a binary was named.
func (b *bench) find(ctx context.Context, name, dir string) (system.System, error) {
	switch name {
	case system.Kahuna:
		program, err := b.kahunaProgram(ctx, dir)
		return system.NewKahuna(program), err
	case system.Redis:
		program, err := inPath("redis-server")
		return system.NewRedis(program), err
	case system.Etcd:
		program, err := inPath("etcd")
		return system.NewEtcd(program), err
	}
	return system.System{}, fmt.Errorf("unknown system %q", name)
}

func inPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, errMissing)
	}
	return filepath.Abs(path)
}

func (b *bench) kahunaProgram(ctx context.Context, dir string) (string, error) {
	if b.options.kahuna != "" {
		return filepath.Abs(b.options.kahuna)
	}
	program := filepath.Join(dir, "kahuna-under-test")
	b.say("building kahuna")
	return program, system.Build(ctx, program)
}
