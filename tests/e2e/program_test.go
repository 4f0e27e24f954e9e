package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kahuna/tests/e2e/load"
	"kahuna/tests/e2e/logfile"
	"kahuna/tests/e2e/rig"
)

// command runs the program to its end.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, log bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), log.String()
}

func TestCommandLine(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	for _, c := range []struct {
		args   string
		code   int
		stdout string // begins so
		stderr string // contains this
	}{
		{"version", 0, "kahuna ", ""},
		{"ping --addr " + s.Listen, 0, "PONG\n", ""},
		{"ping --addr 127.0.0.1:1", 69, "", "kahuna: "},
		{"help", 0, "", ""},
		{"nonsense", 64, "", "nonsense"},
		{"server --nonsense", 64, "", "nonsense"},
		{"server --clients-max x", 78, "", "clients-max"},
		{"server --data-dir /proc/nowhere", 78, "", "data-dir"},
	} {
		code, stdout, stderr := command(t, strings.Fields(c.args)...)
		if code != c.code || !strings.HasPrefix(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%s: exit code %d, want %d; %q; %q", c.args, code, c.code, stdout, stderr)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := start(t, rig.Options{Dir: dir})
	e := refused(t, rig.Options{Dir: dir})
	if want := fmt.Sprintf("in use by process %d", s.PID()); e.Code != 75 || !strings.Contains(e.Message(), want) {
		t.Errorf("exit code %d: %s", e.Code, e.Log)
	}
	expect(t, connect(t, s.Listen), `+"PONG"`, "PING")
}

func TestBusyPortIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"listen", "cluster-listen", "peer-listen", "admin-listen"} {
		e := refused(t, rig.Options{Dir: t.TempDir(), Args: []string{"--" + flag, l.Addr().String()}})
		if e.Code != 75 || !strings.Contains(e.Message(), flag+" = ") || !strings.Contains(e.Message(), "in use") {
			t.Errorf("%s: exit code %d: %s", flag, e.Code, e.Log)
		}
	}
}

// TestSettings sets one setting in each place and holds which place wins.
func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kahuna.toml")
	writeFile(t, file, "clients-max = 101\nwatches-max = 102\nname-bytes-max = 103\n")
	s := start(t, rig.Options{Dir: t.TempDir(), Args: []string{"--config", file, "--name-bytes-max", "301"},
		Env: []string{"KAHUNA_WATCHES_MAX=201", "KAHUNA_NAME_BYTES_MAX=202"}})
	c := connect(t, s.Listen)
	for setting, want := range map[string]string{"clients-max": "101", "watches-max": "201", "name-bytes-max": "301", "multi-commands-max": "10000"} {
		expect(t, c, fmt.Sprintf("[$%q $%q]", setting, want), "CONFIG", "GET", setting)
	}
	if r := do(t, c, "SET", strings.Repeat("n", 302), "x"); !strings.Contains(r.Err(), "limit 301 bytes") {
		t.Errorf("a longer name answers %s", r)
	}
	writeFile(t, file, "# settings\nclients-max = 101\nclient-max = 5\n")
	e := refused(t, rig.Options{Dir: t.TempDir(), Args: []string{"--config", file}})
	if e.Code != 78 || !strings.Contains(e.Message(), "client-max") || !strings.Contains(e.Message(), "3") {
		t.Errorf("an unknown key: exit code %d: %s", e.Code, e.Log)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNewerFormatIsRefused starts on files of a later program: they stay as they are.
func TestNewerFormatIsRefused(t *testing.T) {
	original := t.TempDir()
	s := start(t, rig.Options{Dir: original, Args: small})
	expect(t, connect(t, s.Listen), `+"OK"`, "SET", "a", "b")
	stop(t, s)
	for _, c := range []struct {
		name  string
		renew func(t *testing.T, dir string)
	}{
		{"store", func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, "store", "FORMAT"), "store-format 2\n")
		}},
		{"node", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "node.json")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, strings.Replace(string(b), `"format":1`, `"format":2`, 1))
		}},
		{"log's mark", func(t *testing.T, dir string) { renewHeader(t, filepath.Join(dir, "log", "mark")) }},
		{"log's file", func(t *testing.T, dir string) { renewHeader(t, logfile.Current(readLog(t, dir)).Path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, original)
			c.renew(t, dir)
			before := contents(t, dir)
			e := refused(t, rig.Options{Dir: dir, Args: small})
			if e.Code <= 0 || e.Panicked() || !strings.Contains(e.Message(), "format") || !strings.Contains(e.Message(), " 2") {
				t.Errorf("exit code %d: %s", e.Code, e.Log)
			}
			t.Log(e.Message())
			after := contents(t, dir)
			for name, text := range before {
				if after[name] != text {
					t.Errorf("%s was changed", name)
				}
			}
			for name := range after {
				if _, was := before[name]; !was {
					t.Logf("%s is new", name)
				}
			}
		})
	}
}

// renewHeader makes a file of the log one of the next version.
func renewHeader(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(b[8:], 2)
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crc32.MakeTable(crc32.Castagnoli)))
	write(t, path, 0, b[:64])
}

// contents is every file of a data directory but the one that says which process uses it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range regularFiles(t, dir) {
		if file == "LOCK" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(b)
	}
	return all
}

// TestStopUnderLoad ends servers with SIGTERM while clients write: running commands end, and nothing is lost.
func TestStopUnderLoad(t *testing.T) {
	r, seed := dice(t)
	w := load.New("", 16, seed)
	o := rig.Options{Dir: t.TempDir(), Args: small}
	for range 4 {
		s := start(t, o)
		check(t, w, s, load.Depth{Resolve: true}, "after a stop")
		k := work(w, s.Listen)
		k.until(t, int64(100+r.IntN(500)))
		w.End()
		if err := s.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		code, err := s.Wait()
		<-k.done
		if code != 0 || err != nil {
			t.Fatalf("exit code %d, %v:\n%s", code, err, tail(s.Log()))
		}
	}
	s := start(t, o)
	check(t, w, s, load.Depth{Resolve: true, All: true}, "at the end")
	stop(t, s)
	t.Logf("%v", w.Counts())
}

// TestOperators asks the operators' listener, and prints what an idle server costs.
func TestOperators(t *testing.T) {
	began := time.Now()
	s := start(t, rig.Options{Dir: t.TempDir()})
	took := time.Since(began)
	for path, want := range map[string]string{"/livez": "", "/readyz": "ready", "/metrics": "# HELP ", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile"} {
		if status, body, err := s.Get(path); err != nil || status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.100q %v", path, status, body, err)
		}
	}
	if status, _, err := s.Get("/nothing"); err != nil || status != http.StatusNotFound {
		t.Errorf("/nothing: %d %v", status, err)
	}
	now, _, err := s.MemoryKiB()
	if err != nil {
		t.Error(err)
	}
	t.Logf("ready after %v, idle memory %d MiB", took.Round(time.Millisecond), now>>10)
	stop(t, s)
}
