package version

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestString(t *testing.T) {
	stamped := []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}
	tests := map[string]struct {
		info   debug.BuildInfo
		commit string
		want   string
	}{
		"nothing known":    {debug.BuildInfo{}, "", "kahuna devel\ncommit unknown\n"},
		"from a tree":      {debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: stamped}, "", "kahuna devel\ncommit abc with changes\n"},
		"from a tag":       {debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: stamped[:1]}, "", "kahuna v1.2.3\ncommit abc\n"},
		"told by the link": {debug.BuildInfo{Settings: stamped}, "def", "kahuna devel\ncommit def\n"},
	}
	for name, test := range tests {
		got := from(&test.info, test.commit).String()
		if want := test.want + runtime.Version() + " "; !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if Get().Go != runtime.Version() {
		t.Errorf("Get gives %+v", Get())
	}
}
