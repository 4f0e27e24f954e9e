package script

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/resp"
)

// Host executes what a script asks for.
type Host interface {
	// Call executes a command and appends exactly one reply, which may be an error, in the version of reply. The arguments
	// belong to the Host. An error ends the script, which can't catch it.
	Call(args [][]byte, reply *resp.Writer) error
	// Allowed tells whether the user may run a command, and whether there is such a command.
	Allowed(args [][]byte) (allowed, known bool)
	// Log takes a line of redis.log, at a level from 0 (debug) to 3 (warning).
	Log(level int, line string)
}

// Options are what an Engine needs. Now is required.
type Options struct {
	Limits  Limits
	Now     func() time.Time // bounds the time of scripts
	Rand    func() uint64    // where math.random begins in each run; nil: always at the same place
	Version string           // of Redis, as redis.REDIS_VERSION tells it: three numbers with dots
}

// Engine runs scripts. It is safe for concurrent use. Nothing is started; there is nothing to close.
type Engine struct {
	limits  Limits
	now     func() time.Time
	rand    func() uint64
	version string
	pool    sync.Pool     // of *machine, as new
	used    atomic.Int64  // bytes granted to the runs under way
	kills   atomic.Uint64 // how often Kill was called
	running atomic.Int64
}

// New makes an Engine.
func New(o Options) *Engine {
	e := &Engine{limits: o.Limits.withDefaults(), now: o.Now, rand: o.Rand, version: o.Version}
	if e.rand == nil {
		e.rand = func() uint64 { return 0 }
	}
	e.pool.New = func() any { return newMachine(e) }
	return e
}

// Kill ends all scripts that run now, and tells whether there were any.
func (e *Engine) Kill() bool {
	if e.running.Load() == 0 {
		return false
	}
	e.kills.Add(1)
	return true
}

// Running is how many scripts run now.
func (e *Engine) Running() int { return int(e.running.Load()) }

// UsedBytes is how much of the memory for scripts is granted now.
func (e *Engine) UsedBytes() int64 { return e.used.Load() }

// Run runs a script and appends its reply to w: exactly one, which is an error when the script failed. An error is one of the
// Host or of ctx, or wraps ErrLimit; nothing was appended then. Keys and args are not kept.
func (e *Engine) Run(ctx context.Context, s *Script, host Host, keys, args [][]byte, w *resp.Writer) error {
	m := e.pool.Get().(*machine)
	e.running.Add(1)
	defer e.running.Add(-1)
	mark, proto := w.Len(), w.Proto()
	m.begin(ctx, host)
	reusable, err := m.run(s, keys, args, w)
	m.end()
	if reusable {
		e.pool.Put(m)
	}
	if err != nil {
		w.Truncate(mark)
		w.SetProto(proto)
	}
	return err
}
