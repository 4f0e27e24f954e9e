package script

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func (m *machine) redisFunctions() map[string]lua.LGFunction {
	nothing := func(*lua.LState) int { return 0 }
	return map[string]lua.LGFunction{
		"call": m.redisCall(true), "pcall": m.redisCall(false), "error_reply": m.redisError, "status_reply": m.redisStatus,
		"sha1hex": m.redisSHA1Hex, "log": m.redisLog, "setresp": m.redisSetResp, "acl_check_cmd": m.redisACLCheck,
		"set_repl": m.redisSetRepl, "breakpoint": nothing, "debug": nothing,
		"replicate_commands": func(l *lua.LState) int {
			l.Push(lua.LTrue)
			return 1
		},
	}
}

func (m *machine) addRedisConstants(t *lua.LTable) {
	for i, name := range []string{"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"} {
		t.RawSetString(name, lua.LNumber(i))
	}
	for name, v := range map[string]int{"REPL_NONE": 0, "REPL_AOF": 1, "REPL_SLAVE": 2, "REPL_REPLICA": 2, "REPL_ALL": 3} {
		t.RawSetString(name, lua.LNumber(v))
	}
	var major, minor, patch int
	if n, _ := fmt.Sscanf(m.engine.version, "%d.%d.%d", &major, &minor, &patch); n == 3 {
		t.RawSetString("REDIS_VERSION", lua.LString(m.engine.version))
		t.RawSetString("REDIS_VERSION_NUM", lua.LNumber(major<<16|minor<<8|patch))
	}
}

// errorTable is an error as commands give it. Text that does not begin with - gets the prefix ERR.
func (m *machine) errorTable(reply string) *lua.LTable {
	code := "ERR"
	if rest, ok := strings.CutPrefix(reply, "-"); ok {
		reply = rest
		if first, message, found := strings.Cut(rest, " "); found {
			code, reply = first, message
		}
	}
	t := &lua.LTable{Metatable: lua.LNil}
	t.RawSetString("err", lua.LString(code+" "+strings.Trim(reply, "\r\n")))
	return t
}

// fail raises an error of the library, or gives it back as pcall does.
func (m *machine) fail(l *lua.LState, raise bool, reply string) int {
	m.charge(l, tableBytes+fieldBytes+len(reply))
	t := m.errorTable(reply)
	if raise {
		l.Error(t, 0)
	}
	l.Push(t)
	return 1
}

func (m *machine) redisError(l *lua.LState) int {
	s, ok := l.Get(-1).(lua.LString)
	if l.GetTop() != 1 || !ok {
		return m.fail(l, false, "wrong number or type of arguments")
	}
	return m.fail(l, false, "-"+strings.TrimPrefix(string(s), "-"))
}

func (m *machine) redisStatus(l *lua.LState) int {
	s, ok := l.Get(-1).(lua.LString)
	if l.GetTop() != 1 || !ok {
		return m.fail(l, false, "wrong number or type of arguments")
	}
	m.charge(l, tableBytes+fieldBytes)
	t := &lua.LTable{Metatable: lua.LNil}
	t.RawSetString("ok", s)
	l.Push(t)
	return 1
}

func (m *machine) redisSHA1Hex(l *lua.LState) int {
	if l.GetTop() != 1 {
		return m.fail(l, true, "wrong number of arguments")
	}
	s, _ := text(l.Get(1))
	m.step(l, len(s)/16)
	m.charge(l, 40+stringBytes)
	sum := sha1.Sum([]byte(s))
	return push(l, hex.EncodeToString(sum[:]))
}

// logBytesMax is how much of a line is logged.
const logBytesMax = 1000

func (m *machine) redisLog(l *lua.LState) int {
	n := l.GetTop()
	if n < 2 {
		return m.fail(l, true, "redis.log() requires two arguments or more.")
	}
	level, ok := l.Get(1).(lua.LNumber)
	if !ok {
		return m.fail(l, true, "First argument must be a number (log level).")
	}
	if level < 0 || level > 3 {
		return m.fail(l, true, "Invalid debug level.")
	}
	var b strings.Builder
	for i := 2; i <= n && b.Len() < logBytesMax; i++ {
		if s, ok := text(l.Get(i)); ok {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(s[:min(len(s), logBytesMax)])
		}
	}
	m.step(l, 100)
	m.host.Log(int(level), b.String())
	return 0
}

func (m *machine) redisSetResp(l *lua.LState) int {
	if l.GetTop() != 1 {
		return m.fail(l, true, "redis.setresp() requires one argument.")
	}
	switch n := toNumber(l.Get(1)); n {
	case lua.LNumber(2), lua.LNumber(3):
		m.proto = int(n.(lua.LNumber))
	default:
		return m.fail(l, true, "RESP version must be 2 or 3.")
	}
	return 0
}

// redisSetRepl does nothing: what a script writes is replicated, always.
func (m *machine) redisSetRepl(l *lua.LState) int {
	if l.GetTop() != 1 {
		return m.fail(l, true, "redis.set_repl() requires two arguments.")
	}
	if n := checkNumber(l, 1); n < 0 || n > 3 {
		return m.fail(l, true, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	return 0
}

func (m *machine) redisACLCheck(l *lua.LState) int {
	args, problem := m.arguments(l)
	if problem != "" {
		return m.fail(l, true, problem)
	}
	allowed, known := m.host.Allowed(args)
	if !known {
		return m.fail(l, true, "Invalid command passed to redis.acl_check_cmd()")
	}
	l.Push(lua.LBool(allowed))
	return 1
}

const (
	errNoArguments  = "Please specify at least one argument for this redis lib call"
	errArgumentType = "Lua redis lib command arguments must be strings or integers"
)

// arguments are those of a call, in memory of their own.
func (m *machine) arguments(l *lua.LState) (args [][]byte, problem string) {
	n := l.GetTop()
	if n == 0 {
		return nil, errNoArguments
	}
	size := 0
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			size += len(v)
		case lua.LNumber:
			size += 24
		default:
			return nil, errArgumentType
		}
	}
	m.charge(l, size+n*24)
	m.step(l, n+size/64)
	buf := make([]byte, 0, size)
	args = make([][]byte, n)
	for i := range args {
		from := len(buf)
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			buf = append(buf, v...)
		case lua.LNumber:
			buf = appendNumber(buf, float64(v), argDigits)
		}
		args[i] = buf[from:len(buf):len(buf)]
	}
	return args, ""
}

// callSteps is what one command counts as.
const callSteps = 100

// redisCall runs a command. An error of it is raised by call and given back by pcall.
func (m *machine) redisCall(raise bool) lua.LGFunction {
	return func(l *lua.LState) int {
		args, problem := m.arguments(l)
		if problem != "" {
			return m.fail(l, raise, problem)
		}
		m.step(l, callSteps)
		m.reply.Reset()
		m.reply.SetProto(m.proto)
		if err := m.host.Call(args, &m.reply); err != nil {
			m.fatal = err
			m.goOn(l)
		}
		reply := m.reply.Bytes()
		m.charge(l, len(reply)+stringBytes)
		if len(reply) > 0 && reply[0] == '-' {
			return m.fail(l, raise, string(reply))
		}
		v, err := (&reader{m: m, l: l, b: reply}).value()
		if err != nil {
			m.fatal = err
			m.goOn(l)
		}
		if m.reply.Cap() > 1<<20 {
			m.reply.Release()
		}
		l.Push(v)
		return 1
	}
}
