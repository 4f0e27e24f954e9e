package system

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	line := "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 8 0 100 1000000 25 18446744073709551615 1"
	u, err := parseStat([]byte(line))
	if err != nil || u.CPU != 2*time.Second || u.RSSBytes != 25*int64(os.Getpagesize()) {
		t.Errorf("%+v, %v", u, err)
	}
	for _, bad := range []string{"", "42 (x) S 1", strings.Replace(line, " 150 ", " x ", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestParseWritten(t *testing.T) {
	if n := parseWritten([]byte("wchar: 9\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n")); n != 4096 {
		t.Errorf("%d", n)
	}
	if n := parseWritten([]byte("rchar: 9\n")); n != -1 {
		t.Errorf("without the line: %d, want -1", n)
	}
}

func TestSumSyncs(t *testing.T) {
	text := "# TYPE etcd_disk_wal_fsync_duration_seconds histogram\n" +
		"etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 7\n" +
		"etcd_disk_wal_fsync_duration_seconds_sum 0.5\n" +
		"etcd_disk_wal_fsync_duration_seconds_count 10\n" +
		"etcd_disk_backend_commit_duration_seconds_count 3\n" +
		"kahuna_log_fsyncs_total{store=\"1\"} 2e+1\nkahuna_log_fsync_total 4\n"
	if n, ok := sumSyncs(text); !ok || n != 37 {
		t.Errorf("%v %v, want 37", n, ok)
	}
	if _, ok := sumSyncs("go_goroutines 5\n"); ok {
		t.Error("no sync counter, but a sum")
	}
}

func TestFreeAddrsDiffer(t *testing.T) {
	addrs, err := freeAddrs(4)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range addrs {
		if seen[a] || !strings.HasPrefix(a, "127.0.0.1:") {
			t.Errorf("%v", addrs)
		}
		seen[a] = true
	}
}

// script is a system that is a shell script, ready when it has written its pid.
func script(t *testing.T, body string) (System, string) {
	t.Helper()
	pidFile := filepath.Join(t.TempDir(), "pid")
	return System{Name: "script", Program: "/bin/sh", ports: 1, metrics: -1,
		args: func(string, [][]string, int) []string {
			return []string{"-c", strings.ReplaceAll(body, "PIDFILE", pidFile)}
		},
		probe: func(context.Context, string) error {
			_, err := os.Stat(pidFile)
			return err
		}}, pidFile
}

func TestStartAndStop(t *testing.T) {
	parent := t.TempDir()
	s, _ := script(t, `echo $$ > PIDFILE; exec sleep 60`)
	inst, err := Start(t.Context(), s, parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := inst.Exited(); err != nil || inst.Ready <= 0 {
		t.Errorf("running: %v, ready %v", err, inst.Ready)
	}
	if err := inst.Stop(); err != nil {
		t.Error(err)
	}
	if inst.Exited() == nil {
		t.Error("still running after Stop")
	}
	if _, err := os.Stat(filepath.Join(parent, "script")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

func TestAServerThatDiesIsReportedWithItsLog(t *testing.T) {
	s, _ := script(t, `echo no such option >&2; exit 3`)
	_, err := Start(t.Context(), s, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("%v", err)
	}
}

func TestStartEndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	s, _ := script(t, `exec sleep 60`)
	if _, err := Start(ctx, s, t.TempDir()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
