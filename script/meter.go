package script

import (
	"context"
	"math"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// meter bounds one run. It is the context of the virtual machine, which calls Done before each instruction; its machine field
// is the thread of Lua that it watches (a coroutine has a hook of its own, with the same run).
type meter struct {
	engine   *Engine
	ctx      context.Context // of the caller
	steps    int64
	left     int64 // steps until the clock is looked at
	bytes    int64 // allocated
	granted  int64 // of the engine's memory, at least bytes - freeBytes
	deadline time.Time
	kills    uint64               // the engine's count when the run began
	fatal    error                // why the run can't go on
	shared   map[*lua.LTable]bool // tables that outlive the run: it may not change them
}

// Sizes that are charged, in bytes: what Go takes for them, rounded up.
const (
	valueBytes   = 16  // a place in an array or on the stack
	fieldBytes   = 160 // a key in a table that was not in it before
	tableBytes   = 128
	closureBytes = 128
	stringBytes  = 32        // of a string besides its text
	threadBytes  = 16 << 10  // a coroutine
	freeBytes    = 16 << 10  // what a run may allocate without asking the engine
	grantBytes   = 256 << 10 // what it asks for at a time
	checkSteps   = 4096      // steps between looks at the clock
)

// hook watches one thread of Lua.
type hook struct {
	*meter
	machine *lua.LState
}

// Deadline, Err and Value make the hook a context. Only Done is ever used.
func (h *hook) Deadline() (time.Time, bool) { return time.Time{}, false }

// Err is that of the run.
func (h *hook) Err() error { return h.fatal }

// Value has none.
func (h *hook) Value(any) any { return nil }

// Done judges the next instruction. It raises an error of Lua, or returns a channel that is never ready.
func (h *hook) Done() <-chan struct{} {
	h.step(h.machine, 1)
	h.judge()
	return nil
}

// step counts work. It raises an error when the run has to end.
func (m *meter) step(l *lua.LState, n int) {
	if m.left -= int64(n); m.left >= 0 && m.fatal == nil {
		return
	}
	m.steps += checkSteps - m.left
	m.left = checkSteps
	if m.fatal == nil {
		m.fatal = m.check()
	}
	if m.fatal != nil {
		l.RaiseError("%s", m.fatal.Error())
	}
}

func (m *meter) check() error {
	limits := &m.engine.limits
	switch {
	case m.steps > limits.Steps:
		return limitError("it took more steps than script-steps-max allows (%d)", limits.Steps)
	case m.engine.now().After(m.deadline):
		return limitError("it ran for longer than script-time-ms-max allows (%d milliseconds)", limits.Time.Milliseconds())
	case m.engine.kills.Load() != m.kills:
		return errKilled
	case m.ctx.Err() != nil:
		return m.ctx.Err()
	}
	return nil
}

var errKilled = limitError("killed by SCRIPT KILL")

// charge counts memory that is about to be allocated. It raises an error when there is none left.
func (m *meter) charge(l *lua.LState, n int) {
	if m.bytes += int64(n); n >= 0 && m.bytes <= m.granted+freeBytes && m.fatal == nil {
		return
	}
	if m.fatal == nil {
		m.fatal = m.grant(int64(n))
	}
	if m.fatal != nil {
		l.RaiseError("%s", m.fatal.Error())
	}
}

func (m *meter) grant(n int64) error {
	e := m.engine
	if n < 0 || m.bytes > e.limits.MemoryBytes {
		return limitError("it allocated more memory than script-memory-bytes-max allows (%d bytes)", e.limits.MemoryBytes)
	}
	more := max(n, grantBytes)
	if e.used.Add(more) > e.limits.TotalBytes {
		e.used.Add(-more)
		return limitError("all scripts together use more memory than scripts-memory-bytes-max allows (%d bytes); try again later", e.limits.TotalBytes)
	}
	m.granted += more
	return nil
}

// release gives back what the run was granted.
func (m *meter) release() {
	m.engine.used.Add(-m.granted)
	m.granted = 0
}

// judge looks at the next instruction: what it allocates, and whether it changes what may not be changed.
func (h *hook) judge() {
	fn, pc := next(h.machine)
	if fn.IsG {
		return // asked by what makes a coroutine, which is no instruction
	}
	inst := fn.Proto.Code[pc]
	a, b, c := int(inst>>18)&0xff, int(inst&0x1ff), int(inst>>9)&0x1ff
	switch int(inst >> 26) {
	case lua.OP_SETTABLE, lua.OP_SETTABLEKS:
		key := h.operand(fn, b)
		h.weigh(key)
		h.store(h.register(a), key)
	case lua.OP_SETGLOBAL:
		h.machine.RaiseError(errReadonly)
	case lua.OP_NEWTABLE:
		h.charge(h.machine, tableBytes+valueBytes*b+fieldBytes*c)
	case lua.OP_SETLIST:
		if b == 0 {
			b = h.machine.GetTop()
		}
		h.charge(h.machine, 2*valueBytes*b)
		h.step(h.machine, b)
	case lua.OP_CLOSURE:
		h.charge(h.machine, closureBytes)
	case lua.OP_VARARG, lua.OP_CALL, lua.OP_TAILCALL:
		// Many values move at once only through these; each is as many steps. Functions that name ... and don't use it get
		// them as a table too.
		if n := h.machine.GetTop(); b == 0 && n > 16 {
			h.step(h.machine, n)
			h.charge(h.machine, valueBytes*n)
		}
	case lua.OP_LEN:
		h.step(h.machine, h.lenSteps(h.register(b)))
	case lua.OP_GETTABLE:
		h.weigh(h.operand(fn, c))
	case lua.OP_EQ, lua.OP_LT, lua.OP_LE, lua.OP_ADD, lua.OP_SUB, lua.OP_MUL, lua.OP_DIV, lua.OP_MOD, lua.OP_POW:
		h.weigh(h.operand(fn, b))
		h.weigh(h.operand(fn, c))
	}
}

// weigh counts the work of looking at a long string.
func (h *hook) weigh(v lua.LValue) {
	if s, ok := v.(lua.LString); ok && len(s) > 1024 {
		h.step(h.machine, len(s)/64)
	}
}

// lenSteps is the work of the length operator, which goes back over what is nil at the end of an array.
func (h *hook) lenSteps(v lua.LValue) int {
	if t, ok := v.(*lua.LTable); ok {
		return (arrayLen(t) - t.Len()) / 8
	}
	return 0
}

func (h *hook) register(i int) lua.LValue { return h.machine.Get(i + 1) }

const constant = 256 // the bit of an operand that says it is a constant

func (h *hook) operand(fn *lua.LFunction, i int) lua.LValue {
	if i&constant != 0 {
		return fn.Proto.Constants[i&^constant]
	}
	return h.register(i)
}

const (
	errReadonly = "Attempt to modify a readonly table"
	chainMax    = 100 // tables that one store may be handed on to
)

// store judges t[key] = ..., following __newindex as the machine will.
func (h *hook) store(target, key lua.LValue) {
	for range chainMax {
		t, ok := target.(*lua.LTable)
		if !ok {
			return // an error, or a value whose metatable is ours and has no __newindex
		}
		if t.RawGet(key) == lua.LNil {
			if mt, ok := t.Metatable.(*lua.LTable); ok {
				if next := mt.RawGetString("__newindex"); next != lua.LNil {
					target = next
					continue
				}
			}
			h.grow(h.machine, t, key)
		}
		if h.shared[t] {
			h.machine.RaiseError(errReadonly)
		}
		return
	}
}

// writable raises an error for a table that scripts share, in a function that is to change it.
func (m *meter) writable(l *lua.LState, t *lua.LTable) {
	if m.shared[t] {
		l.Error(lua.LString(errReadonly), 0)
	}
}

// grow charges for a key that is new in a table. Integers near the end of the array go to it, and all below them too.
func (m *meter) grow(l *lua.LState, t *lua.LTable, key lua.LValue) {
	n, ok := key.(lua.LNumber)
	if !ok || n < 1 || float64(n) != math.Trunc(float64(n)) || n > math.MaxInt32 {
		m.charge(l, fieldBytes)
		return
	}
	i, used := int(n), arrayLen(t)
	switch {
	case i >= lua.MaxArrayIndex:
		if t.RawGetInt(i-1) != lua.LNil {
			l.RaiseError("table overflow")
		}
		m.charge(l, fieldBytes)
	case i > used:
		m.charge(l, 2*valueBytes*(i-used))
		m.step(l, (i-used)/8)
	}
}

// init lowers the index up to which gopher-lua keeps integers in arrays: below it, t[n] = v on an empty table takes n places. It
// is the only knob there is. An array that grows to it is an error, not a table with a wrong length.
func init() { lua.MaxArrayIndex = 1 << 20 }
