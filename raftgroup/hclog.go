package raftgroup

import (
	"fmt"
	"io"
	"log"

	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"
)

// bridge gives Raft's warnings and errors to zerolog; the rest of what it tells is not made.
type bridge struct {
	hclog.Logger // of what is not overridden: a logger that does nothing
	to           zerolog.Logger
}

func newBridge(to zerolog.Logger) hclog.Logger { return bridge{hclog.NewNullLogger(), to} }

// ordinary are what Raft warns of and every start and every failover bring with them.
var ordinary = map[string]bool{
	"heartbeat timeout reached, starting election":  true,
	"Election timeout reached, restarting election": true,
}

func (b bridge) Warn(msg string, args ...any) {
	e := b.to.Warn()
	if ordinary[msg] {
		e = b.to.Debug()
	}
	write(e, msg, args)
}
func (b bridge) Error(msg string, args ...any) { write(b.to.Error(), msg, args) }

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

func write(e *zerolog.Event, msg string, args []any) { e.Fields(fields(args)).Msg("raft: " + msg) }

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
