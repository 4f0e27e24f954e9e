package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kahuna/config"
)

// instructions are the Dockerfile's, continued lines joined.
func instructions(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(strings.ReplaceAll(string(data), "\\\n", " "), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// What the image is built from is there, and what the build makes is what the image takes.
func TestDockerfileCopies(t *testing.T) {
	copies, build := 0, strings.Join(instructions(t), "\n")
	for _, line := range instructions(t) {
		words := strings.Fields(line)
		if words[0] != "COPY" {
			continue
		}
		copies++
		made := strings.Contains(line, "--from=build")
		for _, source := range words[1 : len(words)-1] {
			if strings.HasPrefix(source, "--") {
				continue
			}
			if made && !regexp.MustCompile(`(-o|mkdir|>) `+regexp.QuoteMeta(source)+`\b`).MatchString(build) {
				t.Errorf("%q: the build does not make %s", line, source)
			}
			if _, err := os.Stat(filepath.FromSlash(source)); !made && err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
	if copies == 0 {
		t.Error("nothing is copied")
	}
}

// The variables it sets are settings, and their values are allowed ones.
func TestDockerfileSettings(t *testing.T) {
	var environ []string
	for _, line := range instructions(t) {
		if rest, ok := strings.CutPrefix(line, "ENV "); ok {
			environ = append(environ, strings.Fields(rest)...)
		}
	}
	if unknown := config.UnknownEnv(environ); len(unknown) > 0 || len(environ) == 0 {
		t.Errorf("of %v these are no settings: %v", environ, unknown)
	}
	cfg, err := config.Load(config.Sources{Flag: noFlag, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(instructions(t), "\n")
	for _, want := range []string{"VOLUME " + cfg.DataDir, "STOPSIGNAL SIGTERM", `CMD ["/kahuna", "ping"]`, "USER 65532:65532", "CGO_ENABLED=0"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if !strings.HasPrefix(cfg.Listen, "0.0.0.0:") || loopback(cfg.AdminListen) || !loopback(cfg.PeerListen) {
		t.Errorf("clients are served on %s, operators on %s, nodes on %s", cfg.Listen, cfg.AdminListen, cfg.PeerListen)
	}
}

// The image is built with the Go of go.mod.
func TestDockerfileGo(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if want := "FROM golang:" + string(version[1]) + " AS build"; instructions(t)[0] != want {
		t.Errorf("it begins with %q, want %q", instructions(t)[0], want)
	}
}
