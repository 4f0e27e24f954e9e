package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// goOn raises the error that ends the run, if there is one: pcall can't catch that.
func (m *machine) goOn(l *lua.LState) {
	if m.fatal != nil {
		l.RaiseError("%s", m.fatal.Error())
	}
}

// caught is an error as pcall gives it. Of a table with err, Redis gives the text.
func caught(err error) lua.LValue {
	e, ok := err.(*lua.ApiError)
	if !ok {
		return lua.LString(err.Error())
	}
	switch v := e.Object.(type) {
	case *lua.LTable:
		if s, ok := text(v.RawGetString("err")); ok {
			return lua.LString(s)
		}
	case lua.LString:
		return lua.LString(luaText(string(v)))
	}
	return e.Object
}

// protectedSteps is what a call that is protected counts as.
const protectedSteps = 20

func (m *machine) basePCall(l *lua.LState) int {
	l.CheckAny(1)
	err := m.protect(func() error { return l.PCall(l.GetTop()-1, lua.MultRet, m.onError) })
	m.goOn(l)
	m.step(l, protectedSteps)
	if err != nil {
		l.SetTop(0)
		l.Push(lua.LFalse)
		l.Push(caught(err))
		return 2
	}
	l.Insert(lua.LTrue, 1)
	return l.GetTop()
}

// baseXPCall calls the handler after the stack has been unwound.
func (m *machine) baseXPCall(l *lua.LState) int {
	f, handler := l.CheckAny(1), l.CheckFunction(2)
	l.SetTop(0)
	l.Push(f)
	err := m.protect(func() error { return l.PCall(0, lua.MultRet, m.onError) })
	m.goOn(l)
	m.step(l, protectedSteps)
	if err == nil {
		l.Insert(lua.LTrue, 1)
		return l.GetTop()
	}
	l.SetTop(0)
	l.Push(lua.LFalse)
	l.Push(handler)
	l.Push(caught(err))
	l.Call(1, 1)
	return 2
}

func (m *machine) baseLoadString(l *lua.LState) int {
	return m.load(l, l.CheckString(1), l.OptString(2, ""))
}

// baseLoad gathers the pieces that a function gives.
func (m *machine) baseLoad(l *lua.LState) int {
	f := l.CheckFunction(1)
	name := l.OptString(2, "=(load)")
	var b strings.Builder
	for {
		l.Push(f)
		l.Call(0, 1)
		piece, ok := l.Get(-1).(lua.LString)
		l.Pop(1)
		if !ok || piece == "" {
			return m.load(l, b.String(), name)
		}
		m.charge(l, len(piece))
		b.WriteString(string(piece))
	}
}

// compileBytes is what compiling takes for each byte of text.
const compileBytes = 64

func (m *machine) load(l *lua.LState, code, name string) int {
	if len(code) > m.engine.limits.ScriptBytes {
		l.RaiseError("chunk too large")
	}
	m.charge(l, compileBytes*len(code)+closureBytes)
	m.step(l, 16*len(code))
	proto, err := compile(code, loadedName(code, name))
	if err != nil {
		l.Push(lua.LNil)
		l.Push(lua.LString(err.Error()))
		return 2
	}
	l.Push(l.NewFunctionFromProto(proto))
	return 1
}

// loadedName is the name of a chunk in errors, as Lua writes it.
func loadedName(code, name string) string {
	if name == "" {
		name = code
	}
	if name[:min(1, len(name))] == "=" || name[:min(1, len(name))] == "@" {
		return name[1:min(len(name), 60)]
	}
	line, _, more := strings.Cut(name, "\n")
	if more || len(line) > 45 {
		line = line[:min(len(line), 45)] + "..."
	}
	return `[string "` + line + `"]`
}
