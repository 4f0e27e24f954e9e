package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/redcon"

	"kahuna/tests/bench/report"
	"kahuna/tests/bench/system"
	"kahuna/tests/bench/workload"
)

// fakeEnv makes the test binary behave as a redis-server that keeps everything in memory; its value is the command that
// it answers with an error.
const fakeEnv = "BENCH_TEST_FAKE_REDIS"

func TestMain(m *testing.M) {
	if broken, ok := os.LookupEnv(fakeEnv); ok && filepath.Base(os.Args[0]) == "redis-server" {
		if err := serveFake(os.Args[1:], broken); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveFake(args []string, broken string) error {
	if args[0] == "--version" {
		fmt.Println("fake redis v=1")
		return nil
	}
	var mu sync.Mutex
	values := map[string][]byte{}
	handle := func(c redcon.Conn, cmd redcon.Command) {
		mu.Lock()
		defer mu.Unlock()
		switch name := string(cmd.Args[0]); {
		case name == broken:
			c.WriteError("ERR broken")
		case name == "SET":
			values[string(cmd.Args[1])] = bytes.Clone(cmd.Args[2])
			c.WriteString("OK")
		case name == "GET":
			c.WriteBulk(values[string(cmd.Args[1])])
		default:
			c.WriteError("ERR unknown command")
		}
	}
	port := args[slices.Index(args, "--port")+1]
	return redcon.ListenAndServe(net.JoinHostPort("127.0.0.1", port), handle, nil, nil)
}

// onlyFakeRedis makes PATH hold nothing but the fake redis-server.
func onlyFakeRedis(t *testing.T, broken string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "redis-server")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv(fakeEnv, broken)
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestARunFromStartToReport(t *testing.T) {
	onlyFakeRedis(t, "")
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "out.json")
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{"--quick", "--systems", "redis,etcd", "--workloads", "^(set-c1|get)$", "--clients", "3",
		"--dir", dir, "--json", file, "--plots", filepath.Dir(file)}, &out, &progress)
	if code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, &out, &progress)
	}
	for _, want := range []string{"| redis | fake redis v=1 |", "| etcd | skipped: etcd: not found in PATH |", "| SET c=1 | redis |",
		"| GET c=3 | redis |", "not measured"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("missing %q in\n%s", want, &out)
		}
	}
	if n := strings.Count(progress.String(), "0 errors"); n != 2 {
		t.Errorf("%d progress lines of cells, want 2:\n%s", n, &progress)
	}
	mustBeEmpty(t, dir)
	if drawn, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*-1.svg")); err != nil || len(drawn) != 3 {
		t.Errorf("plots: %v, %v", drawn, err)
	}
	var r report.Report
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if c := r.Cell(system.Redis, "get"); err != nil || !c.OK() || c.Median[report.OpsPerSecond] <= 0 || len(c.Rounds) != 1 {
		t.Errorf("JSON: %v, %+v", err, c)
	}
}

func TestWrongRepliesFailTheRun(t *testing.T) {
	onlyFakeRedis(t, "GET")
	var out bytes.Buffer
	code := run(t.Context(), []string{"--quick", "--systems", "redis", "--workloads", "^get$", "--dir", t.TempDir()}, &out, io.Discard)
	if code != exitFailed || !strings.Contains(out.String(), "| FAILED |") || !strings.Contains(out.String(), "ERR broken") {
		t.Errorf("exit code %d\n%s", code, &out)
	}
}

// cancelOn cancels a context when a text is written.
type cancelOn struct {
	text   string
	cancel context.CancelFunc
}

func (c *cancelOn) Write(b []byte) (int, error) {
	if strings.Contains(string(b), c.text) {
		c.cancel()
	}
	return len(b), nil
}

func TestAnInterruptCleansUp(t *testing.T) {
	for _, at := range []string{"floor", "ready after", "idle servers", "[  1/"} {
		onlyFakeRedis(t, "")
		ctx, cancel := context.WithCancel(t.Context())
		dir := t.TempDir()
		args := []string{"--quick", "--systems", "redis", "--workloads", "^(set|get)$", "--dir", dir}
		if code := run(ctx, args, io.Discard, &cancelOn{at, cancel}); code != exitInterrupted {
			t.Errorf("at %q: exit code %d", at, code)
		}
		mustBeEmpty(t, dir)
		cancel()
	}
}

func TestNothingInstalledIsAFailure(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	code := run(t.Context(), []string{"--quick", "--systems", "redis,etcd", "--dir", t.TempDir()}, &out, io.Discard)
	if code != exitFailed || !strings.Contains(out.String(), "no cell was run") {
		t.Errorf("exit code %d\n%s", code, &out)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"--systems", "mysql"}, {"--systems", ""}, {"--workloads", "("}, {"--workloads", "nothing"},
		{"--rounds", "0"}, {"--seconds", "NaN"}, {"--seconds", "1e9"}, {"--clients", "0"}, {"--clients", "99999"}, {"--rate", "-1"}, {"--nope"}, {"x"}} {
		var progress bytes.Buffer
		if code := run(t.Context(), args, io.Discard, &progress); code != exitUsage || progress.Len() == 0 {
			t.Errorf("%q: exit code %d, said %q", args, code, &progress)
		}
	}
	if code := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); code != exitOK {
		t.Errorf("-h: exit code %d", code)
	}
}

func TestDefaultsStayUnderSevenMinutes(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cells := 0
	for _, w := range o.workloads {
		cells++
		if k := w.Kind; k != workload.LockHot && k != workload.Snapshot && k != workload.Scan && k != workload.SetAndScan {
			cells++ // Redis
		}
		if w.Pipeline == 1 {
			cells++ // etcd
		}
	}
	seconds := (o.measure+o.warmup).Seconds()*float64(cells*o.rounds) + (2*floorTime + idleSettle + idleMeasure).Seconds()
	if seconds > 7*60 || o.rounds != 3 || len(o.systems) != 3 || o.warmup <= 0 {
		t.Errorf("%d cells, %v + %v, %d rounds: %.0f s", cells, o.warmup, o.measure, o.rounds, seconds)
	}
}

func TestFirstLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("a\t: 1\nmodel name\t: Some CPU: fast\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := firstLine(path, "model name"); got != "Some CPU: fast" {
		t.Errorf("%q", got)
	}
	if got := firstLine(path, ""); got != "a\t: 1" {
		t.Errorf("%q", got)
	}
	if firstLine(path+"x", "") != "unknown" || firstLine(path, "zzz") != "unknown" {
		t.Error("what is not there must be unknown")
	}
}
