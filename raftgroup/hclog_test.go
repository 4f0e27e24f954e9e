package raftgroup

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestBridgeLevels: what repeats as long as a node is away is for debugging only; what nobody else tells is always told.
func TestBridgeLevels(t *testing.T) {
	tell := func(level zerolog.Level) string {
		var out bytes.Buffer
		b := newBridge(zerolog.New(&out).Level(level))
		b.Error("failed to heartbeat to", "peer", "n2")
		b.Warn("failed to contact", "server-id", "n2")
		b.Error("failed to commit logs", "error", "no space")
		b.Warn("failed to contact quorum of nodes, stepping down")
		return out.String()
	}
	info, debug := tell(zerolog.InfoLevel), tell(zerolog.DebugLevel)
	if strings.Count(info, "\n") != 2 || strings.Contains(info, "n2") {
		t.Errorf("at info:\n%s", info)
	}
	if !strings.Contains(info, `"level":"error","error":"no space","message":"raft: failed to commit logs"`) {
		t.Errorf("the error is not told as one:\n%s", info)
	}
	if strings.Count(debug, `"level":"debug"`) != 2 || strings.Count(debug, "\n") != 4 {
		t.Errorf("at debug:\n%s", debug)
	}
}
