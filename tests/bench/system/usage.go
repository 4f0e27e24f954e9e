package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// clockTicksPerSecond is USER_HZ, the unit of times in /proc/PID/stat; it is 100 on every Linux that Go runs on.
const clockTicksPerSecond = 100

// Usage is what processes have used since they began.
type Usage struct {
	CPU          time.Duration // user and system time
	WrittenBytes int64         // sent to the storage layer; -1 when the system does not tell
	RSSBytes     int64         // resident now
}

// Usage sums what the processes of the instance have used.
func (i *Instance) Usage() (Usage, error) { return ReadUsage(i.PIDs()...) }

// ReadUsage sums over processes. It is an error where there is no /proc, or when one of the processes is gone.
func ReadUsage(pids ...int) (Usage, error) {
	var sum Usage
	for _, pid := range pids {
		u, err := readProcess(pid)
		if err != nil {
			return Usage{}, err
		}
		sum.CPU += u.CPU
		sum.RSSBytes += u.RSSBytes
		if u.WrittenBytes < 0 || sum.WrittenBytes < 0 {
			sum.WrittenBytes = -1
		} else {
			sum.WrittenBytes += u.WrittenBytes
		}
	}
	return sum, nil
}

func readProcess(pid int) (Usage, error) {
	base := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(base + "stat")
	if err != nil {
		return Usage{}, err
	}
	u, err := parseStat(stat)
	if err != nil {
		return Usage{}, err
	}
	u.WrittenBytes = -1
	if io, err := os.ReadFile(base + "io"); err == nil { // readable for the same user only, and not in every container
		u.WrittenBytes = parseWritten(io)
	}
	return u, nil
}

// parseStat reads utime, stime and rss (fields 14, 15 and 24, see proc(5)). The command name before them may hold anything.
func parseStat(stat []byte) (Usage, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3
	if len(fields) <= rss {
		return Usage{}, errors.New("/proc/PID/stat is too short")
	}
	var n [3]int64
	for i, at := range []int{utime, stime, rss} {
		v, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		n[i] = v
	}
	cpu := time.Duration(n[0]+n[1]) * (time.Second / clockTicksPerSecond)
	return Usage{CPU: cpu, RSSBytes: n[2] * int64(os.Getpagesize())}, nil
}

func parseWritten(io []byte) int64 {
	for line := range strings.Lines(string(io)) {
		if v, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// syncCounters names the Prometheus counters that count syncs of files: those with fsync in their name, and etcd's
// commits of its backend, each of which syncs once.
var syncCounters = regexp.MustCompile(`(?m)^(?:\w*fsync\w*_(?:total|count)|etcd_disk_backend_commit_duration_seconds_count)(?:\{[^}]*\})? (\S+)$`)

// Syncs is how often the instance has synced a file, as its metrics tell; ok is false when they don't.
func (i *Instance) Syncs(ctx context.Context) (n float64, ok bool) {
	if i.metricsURL == "" {
		return 0, false
	}
	body, err := httpGet(ctx, i.metricsURL)
	if err != nil {
		return 0, false
	}
	return sumSyncs(body)
}

func sumSyncs(metrics string) (sum float64, ok bool) {
	for _, m := range syncCounters.FindAllStringSubmatch(metrics, -1) {
		if v, err := strconv.ParseFloat(m[1], 64); err == nil {
			sum, ok = sum+v, true
		}
	}
	return sum, ok
}
