package compat

import (
	"fmt"
	"os"
	"testing"

	"kahuna/tests/e2e/rig"
)

// addr is where the server of all tests listens, and clusterAddr where it does for cluster-aware clients.
var addr, clusterAddr string

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "compat")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary, err := rig.Build("../..", dir)
	if err != nil {
		return 0, err
	}
	s, err := rig.Start(rig.Options{Binary: binary, Dir: dir + "/data"})
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	addr, clusterAddr = s.Listen, s.ClusterListen
	return m.Run(), nil
}
