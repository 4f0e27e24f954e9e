package raftgroup

import (
	"fmt"
	"io"
	"log"

	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"
)

// bridge gives Raft's warnings and errors to zerolog, the ordinary ones as debug; the rest of what it tells is not made.
type bridge struct {
	hclog.Logger // of what is not overridden: a logger that does nothing
	to           zerolog.Logger
}

func newBridge(to zerolog.Logger) hclog.Logger { return bridge{hclog.NewNullLogger(), to} }

// ordinary are what Raft warns of, or calls an error, and every start, failover and new replica bring with them. Those about one
// peer come several times a second from every group as long as a node is away, which the network tells once.
var ordinary = map[string]bool{
	"heartbeat timeout reached, starting election":      true,
	"Election timeout reached, restarting election":     true,
	"failed to contact":                                 true,
	"failed to heartbeat to":                            true,
	"failed to appendEntries to":                        true,
	"failed to pipeline appendEntries":                  true,
	"failed to start pipeline replication to":           true,
	"failed to make requestVote RPC":                    true,
	"appendEntries rejected, sending older logs":        true,
	"rejecting pre-vote request since we have a leader": true,
	"rejecting vote request since we have a leader":     true,
}

func (b bridge) Warn(msg string, args ...any)  { b.tell(zerolog.WarnLevel, msg, args) }
func (b bridge) Error(msg string, args ...any) { b.tell(zerolog.ErrorLevel, msg, args) }

func (b bridge) tell(level zerolog.Level, msg string, args []any) {
	if ordinary[msg] {
		level = zerolog.DebugLevel
	}
	if e := b.to.WithLevel(level); e.Enabled() {
		e.Fields(fields(args)).Msg("raft: " + msg)
	}
}

func (b bridge) Log(level hclog.Level, msg string, args ...any) {
	switch {
	case level >= hclog.Error:
		b.Error(msg, args...)
	case level == hclog.Warn:
		b.Warn(msg, args...)
	}
}

func (b bridge) IsWarn() bool                   { return true }
func (b bridge) IsError() bool                  { return true }
func (b bridge) GetLevel() hclog.Level          { return hclog.Warn }
func (b bridge) Named(string) hclog.Logger      { return b }
func (b bridge) ResetNamed(string) hclog.Logger { return b }
func (b bridge) With(args ...any) hclog.Logger {
	return bridge{b.Logger, b.to.With().Fields(fields(args)).Logger()}
}
func (b bridge) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(io.Discard, "", 0)
}

// fields turns hclog's pairs into zerolog's. Values are printed here, for some are live structures of Raft.
func fields(args []any) map[string]any {
	m := make(map[string]any, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		value := args[i+1]
		if f, ok := value.(hclog.Format); ok && len(f) > 0 {
			value = fmt.Sprintf(f[0].(string), f[1:]...)
		}
		m[fmt.Sprint(args[i])] = fmt.Sprint(value)
	}
	return m
}
