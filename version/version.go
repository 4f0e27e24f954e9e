// Package version tells which build of the program this is.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// commit is set by builds that have no repository at hand: -ldflags "-X kahuna/version.commit=...".
var commit string

// Build is what the Go toolchain noted in the program.
type Build struct {
	Version  string // of the module, or "devel"
	Commit   string // empty: not known
	Modified bool   // the tree had changes on top of Commit
	Go       string
	Platform string
}

// Get reads the notes of the running program.
func Get() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return from(info, commit)
}

func from(info *debug.BuildInfo, commit string) Build {
	b := Build{Version: info.Main.Version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && commit == "":
			b.Commit = s.Value
		case s.Key == "vcs.modified" && commit == "":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is one fact per line.
func (b Build) String() string {
	commit := b.Commit
	if commit == "" {
		commit = "unknown"
	}
	if b.Modified {
		commit += " with changes"
	}
	return fmt.Sprintf("kahuna %s\ncommit %s\n%s %s", b.Version, commit, b.Go, b.Platform)
}
