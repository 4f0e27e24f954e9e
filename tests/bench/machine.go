package main

import (
	"os"
	"runtime"
	"strings"
	"time"

	"kahuna/tests/bench/report"
)

// thisMachine describes where the bench runs; what the system does not tell is "unknown".
func thisMachine() report.Machine {
	return report.Machine{
		OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Kernel: firstLine("/proc/sys/kernel/osrelease", ""), CPU: firstLine("/proc/cpuinfo", "model name"),
		Began: time.Now().UTC().Format(time.RFC3339),
	}
}

// firstLine is the first line of a file that begins with prefix, or what follows its colon when there is a prefix.
func firstLine(path, prefix string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			if _, value, ok := strings.Cut(rest, ":"); ok && prefix != "" {
				rest = value
			}
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}
