package script

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"kahuna/resp"
)

// Bounds of one virtual machine. The stack of values grows as needed.
const (
	callsMax     = 2048 // nested calls
	stackStart   = 512  // values
	stackMax     = 1 << 16
	stackGrow    = 2048
	resultsMax   = 8000 // values that a function gives back at once
	argumentsMax = resultsMax
)

// machine is a virtual machine with the sandbox in it. It is used by one run at a time, and is as new after a run without
// errors: what a script could reach is then gone or can't be changed.
type machine struct {
	meter
	l     *lua.LState
	hook  *hook
	host  Host
	reply resp.Writer // of the command that was called
	proto int         // of the replies that redis.call converts: redis.setresp
	seed  uint64      // of math.random
	line  int         // of the last error that was not caught, 0: unknown

	onError *lua.LFunction // keeps gopher-lua from describing the whole stack for each error
	onFail  *lua.LFunction // notes the line
}

func newMachine(e *Engine) *machine {
	m := &machine{l: lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: callsMax, MinimizeStackMemory: true,
		RegistrySize: stackStart, RegistryMaxSize: stackMax, RegistryGrowStep: stackGrow,
	})}
	m.engine = e
	m.shared = map[*lua.LTable]bool{}
	m.hook = &hook{&m.meter, m.l}
	m.onError = m.l.NewFunction(func(*lua.LState) int { return 1 })
	m.onFail = m.l.NewFunction(func(l *lua.LState) int {
		m.line = innermostLine(l)
		return 1
	})
	m.openLibraries()
	m.l.SetContext(m.hook)
	return m
}

func (m *machine) begin(ctx context.Context, host Host) {
	e := m.engine
	m.ctx, m.host = ctx, host
	m.steps, m.left, m.bytes, m.fatal = 0, checkSteps, 0, nil
	m.deadline, m.kills = e.now().Add(e.limits.Time), e.kills.Load()
	m.proto, m.seed, m.line = resp.RESP2, e.rand(), 0
}

func (m *machine) end() {
	m.release()
	m.ctx, m.host = nil, nil
	if m.reply.Cap() > 64<<10 {
		m.reply.Release()
	}
}

// run runs the script and appends its reply.
func (m *machine) run(s *Script, keys, args [][]byte, w *resp.Writer) (reusable bool, err error) {
	l := m.l
	globals := l.G.Global
	globals.RawSetString("KEYS", m.stringTable(keys))
	globals.RawSetString("ARGV", m.stringTable(args))
	l.Push(l.NewFunctionFromProto(s.proto))
	failed := m.protect(func() error { return l.PCall(0, 1, m.onFail) })
	switch {
	case m.fatal != nil:
		return false, m.fatal
	case failed != nil:
		m.writeFailure(w, failed, s.SHA)
		return false, nil
	}
	m.reply.Reset()
	if err := (&converter{m: m, w: w}).write(l.Get(-1)); err != nil {
		return false, err
	}
	l.SetTop(0)
	return true, nil
}

// protect turns what gopher-lua does not catch itself, as when a handler of an error fails, to an error.
func (m *machine) protect(f func() error) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			if e, ok := caught.(*lua.ApiError); ok {
				err = e
				return
			}
			err = fmt.Errorf("%v", caught)
		}
	}()
	return f()
}

// writeFailure writes the error that a script ended with, and where, as Redis does.
func (m *machine) writeFailure(w *resp.Writer, err error, sha string) {
	message := "ERR " + err.Error()
	if e, ok := err.(*lua.ApiError); ok {
		message = failureText(e.Object)
	}
	if m.line > 0 {
		message += fmt.Sprintf(" script: %s, on @%s:%d.", sha, chunkName, m.line)
	}
	w.Error(message)
}

// failureText is the text of an error value: that of a table with err, else ERR and the value.
func failureText(v lua.LValue) string {
	if t, ok := v.(*lua.LTable); ok {
		if s, ok := text(t.RawGetString("err")); ok {
			return s
		}
		return "ERR unknown error"
	}
	if s, ok := text(v); ok {
		return "ERR " + luaText(s)
	}
	return "ERR " + v.String()
}

// innermostLine is the line that is being executed in the innermost function of the script.
func innermostLine(l *lua.LState) int {
	for level := range callsMax {
		frame, ok := l.GetStack(level)
		if !ok {
			break
		}
		if _, err := l.GetInfo("Sl", frame, lua.LNil); err == nil && frame.CurrentLine > 0 {
			return frame.CurrentLine
		}
	}
	return 0
}

var (
	badArgument = regexp.MustCompile(`bad argument #(\d+) to ([\w.]+) \(`)
	compared    = regexp.MustCompile(`attempt to compare (\w+) with (\w+)`)
)

// luaTexts are errors of gopher-lua that Lua words otherwise.
var luaTexts = []struct{ from, to string }{
	{"attempt to index a non-table object(", "attempt to index a "},
	{"attempt to call a non-function object", "attempt to call a value that is no function"},
	{"lua callstack overflow", chunkName + ":1: stack overflow"},
	{"registry overflow", "stack overflow"},
}

func luaText(s string) string {
	s = badArgument.ReplaceAllString(s, "bad argument #$1 to '$2' (")
	if kinds := compared.FindStringSubmatch(s); kinds != nil && kinds[1] == kinds[2] {
		return strings.Replace(s, kinds[0], "attempt to compare two "+kinds[1]+" values", 1)
	}
	for _, t := range luaTexts {
		before, after, found := strings.Cut(s, t.from)
		if !found {
			continue
		}
		if kind, _, ok := strings.Cut(after, ")"); ok && strings.HasSuffix(t.to, "index a ") {
			return before + t.to + kind + " value"
		}
		return before + t.to + after
	}
	return s
}

// stringTable is a new table of strings.
func (m *machine) stringTable(all [][]byte) *lua.LTable {
	t := m.l.CreateTable(len(all), 0)
	for _, b := range all {
		m.bytes += int64(len(b) + stringBytes + valueBytes)
		t.Append(lua.LString(b))
	}
	return t
}
