package script

import lua "github.com/yuin/gopher-lua"

// coroutineFunctions are gopher-lua's, with the meter put on each new thread.
func (m *machine) coroutineFunctions() map[string]lua.LGFunction {
	lua.OpenCoroutine(m.l)
	m.l.SetTop(0)
	loaded := m.l.G.Global.RawGetString(lua.CoroutineLibName).(*lua.LTable)
	of := func(name string) lua.LGFunction { return loaded.RawGetString(name).(*lua.LFunction).GFunction }
	create, wrap, resume := of("create"), of("wrap"), of("resume")
	return map[string]lua.LGFunction{
		"create": func(l *lua.LState) int {
			m.charge(l, threadBytes)
			n := create(l)
			m.watch(l.Get(-1))
			return n
		},
		"wrap": func(l *lua.LState) int {
			m.charge(l, threadBytes)
			n := wrap(l)
			m.watch(l.Get(-1).(*lua.LFunction).Upvalues[0].Value())
			return n
		},
		"resume": resume, "yield": of("yield"), "running": of("running"), "status": of("status"),
	}
}

func (m *machine) watch(thread lua.LValue) {
	t := thread.(*lua.LState)
	t.SetContext(&hook{&m.meter, t})
}
