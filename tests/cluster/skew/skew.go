// Package skew builds the program with a wall clock that can be set while it runs: time.Now adds to the wall time what stands in a
// file, and leaves the monotonic time alone, as a clock that is set does. The program's own code is not touched: two files are laid
// over Go's and the program's at the build (go build -overlay). A Go version whose time.Now looks otherwise ends the build.
package skew

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kahuna/tests/cluster/fleet"
)

const (
	anchor  = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	changed = anchor + "\tsec, nsec = testClock.wrong(sec, nsec)\n"

	// inTime is added to package time.
	inTime = `package time

import (
	"sync/atomic"
	_ "unsafe"
)

type wrongClock struct{ nanos atomic.Int64 }

var testClock wrongClock

func (c *wrongClock) wrong(sec int64, nsec int32) (int64, int32) {
	off := c.nanos.Load()
	sec, off = sec+off/1e9, off%1e9+int64(nsec)
	for off < 0 {
		sec, off = sec-1, off+1e9
	}
	return sec + off/1e9, int32(off % 1e9)
}

//go:linkname setTestClock
func setTestClock(nanos int64) { testClock.nanos.Store(nanos) }
`
	// inMain is added to package main.
	inMain = `package main

import (
	"os"
	"strconv"
	"strings"
	"time"
	_ "unsafe"
)

//go:linkname setTestClock time.setTestClock
func setTestClock(nanos int64)

func init() {
	path := os.Getenv(%q)
	if path == "" {
		return
	}
	look := func() {
		if b, err := os.ReadFile(path); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
				setTestClock(n)
			}
		}
	}
	look()
	go func() {
		for {
			look()
			time.Sleep(20 * time.Millisecond)
		}
	}()
}
`
)

// Build builds the program of the module at root into dir and gives its path. A node of package fleet takes the error of its clock
// from its file. version stands for the commit in what the program says of itself; empty: it says what it says anyway.
func Build(root, dir, version string) (string, error) {
	overlay, err := lay(root, dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kahuna"+version)
	args := []string{"build", "-overlay", overlay, "-o", path}
	if version != "" {
		args = append(args, "-ldflags", "-X kahuna/version.commit="+version)
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build -overlay: %w\n%s", err, out)
	}
	return path, nil
}

// lay writes the files to be laid over others, and the list of them, whose path it gives.
func lay(root, dir string) (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	if root, err = filepath.Abs(root); err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	now, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	if strings.Count(string(now), anchor) != 1 {
		return "", fmt.Errorf("time.Now of this Go version is not as expected: no wall clock can be set")
	}
	replace := map[string]string{}
	for name, text := range map[string]string{
		filepath.Join(source, "time.go"):            strings.Replace(string(now), anchor, changed, 1),
		filepath.Join(source, "zz_testclock.go"):    inTime,
		filepath.Join(root, "zz_testclock_main.go"): fmt.Sprintf(inMain, fleet.ClockVariable),
	} {
		over := filepath.Join(dir, "over_"+filepath.Base(name))
		if err := os.WriteFile(over, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[name] = over
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
