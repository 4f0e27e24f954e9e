package script

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kahuna/resp"
)

// echo is a Host that answers with what it is told, or its arguments' number.
type echo struct {
	reply string
	fail  error
	calls int
}

func (e *echo) Call(args [][]byte, reply *resp.Writer) error {
	if e.calls++; e.reply != "" {
		reply.Raw([]byte(e.reply))
	} else {
		reply.Int(int64(len(args)))
	}
	return e.fail
}

func (e *echo) Allowed([][]byte) (allowed, known bool) { return true, true }
func (e *echo) Log(int, string)                        {}

func small() Limits {
	return Limits{Steps: 80_000, Time: time.Minute, MemoryBytes: 2 << 20, TotalBytes: 16 << 20, ReplyBytes: 1 << 20}
}

func engine(l Limits) *Engine { return New(Options{Limits: l, Now: time.Now, Version: "7.4.0"}) }

func run(t testing.TB, e *Engine, h Host, body string, args ...string) (string, error) {
	t.Helper()
	s, err := e.Compile(body)
	if err != nil {
		return "-" + err.Error(), nil
	}
	var argv [][]byte
	for _, a := range args {
		argv = append(argv, []byte(a))
	}
	var w resp.Writer
	err = e.Run(context.Background(), s, h, nil, argv, &w)
	return string(w.Bytes()), err
}

// TestLimits sees that scripts that want too much are stopped, that they can't catch that, and that the engine is then as before.
func TestLimits(t *testing.T) {
	e := engine(small())
	for name, body := range map[string]string{
		"loop":             "while true do end",
		"repeat":           "repeat until false",
		"goto":             "::a:: goto a",
		"caught loop":      "while true do pcall(function() while true do end end) end",
		"xpcall":           "while true do xpcall(function() while true do end end, function() while true do end end) end",
		"coroutine":        "coroutine.wrap(function() while true do end end)()",
		"resumed":          "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
		"coroutines":       "local t={} while true do t[#t+1]=coroutine.create(function() coroutine.yield() end) coroutine.resume(t[#t]) end",
		"rep":              "return ('x'):rep(1e9)",
		"rep of all":       "return ('x'):rep(2^62)",
		"double":           "local s='x' while true do s=s..s end",
		"concat":           "local t={} for i=1,1e6 do t[i]='xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'..i end return table.concat(t)",
		"fields":           "local t={} local i=0 while true do i=i+1 t['k'..i]=i end",
		"array":            "local t={} while true do t[#t+1]=1 end",
		"far index":        "local t={} t[1048575]=1 return #t",
		"far indexes":      "for i=1,1e6 do local t={} t[100000]=1 end",
		"far raw":          "local t={} rawset(t,1048575,1)",
		"far insert":       "local t={} table.insert(t,1048575,1)",
		"tables":           "local t={} while true do t={t} end",
		"closures":         "local t={} while true do t[#t+1]=function() return t end end",
		"newindex":         "local big={} local t=setmetatable({},{__newindex=big}) for i=1,1e6 do t['k'..i]=i end",
		"tostring":         "local t={} for i=1,1e7 do t[i]=tostring(i) end",
		"gsub":             "local s=('x'):rep(1e5) while true do s=s:gsub('x','xx') end",
		"gsub grows":       "return (('x'):rep(1e5):gsub('x',('y'):rep(1e4)))",
		"pattern":          "return (('a'):rep(1e5)):find('.-.-.-.-.-.-b')",
		"pattern of stars": "return (('a'):rep(3000)):match('a*a*a*a*a*a*a*b')",
		"balanced":         "return (('('):rep(1e5)):match('%b()%b()x')",
		"format":           "local s=('x'):rep(1e5) while true do s=s..string.format('%s',s) end",
		"sort":             "local t={} for i=1,5e4 do t[i]=i%7 end table.sort(t, function(a,b) return a<b end)",
		"unpack":           "local t={} for i=1,7000 do t[i]=i end while true do local a={unpack(t)} end",
		"varargs":          "local function f(...) return select('#',...) end local t={} for i=1,7000 do t[i]=i end while true do f(unpack(t)) end",
		"compare":          "local a,b=('x'):rep(1e6)..'a',('x'):rep(1e6)..'a' while true do local c = a==b end",
		"lookup":           "local k=('x'):rep(1e6) local t={} while true do local c=t[k] end",
		"json out":         "local t={} for i=1,1000 do t[i]='xxxxxxxxxxxxxxxxxxxxxxx' end while true do cjson.encode(t) end",
		"json in":          "return cjson.decode('['..('[],'):rep(1e5)..'1]')",
		"loadstring":       "while true do loadstring(('local x = 1 '):rep(100)) end",
		"load":             "load(function() return 'x = 1 ' end)",
		"calls":            "while true do redis.call('x') end",
		"sha":              "local s=('x'):rep(1e6) while true do redis.sha1hex(s) end",
		"length":           "local t={} t[20000]=1 t[20000]=nil while true do local n=#t end",
		"log":              "while true do redis.log(1,'x') end",
		"reply":            "local t={'xxxxxxxxxxxxxxxx'} for i=1,40 do t={t,t} end return t",
		"reply in itself":  "local t={} t[1]=t return t",
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := run(t, e, &echo{}, body)
			if !errors.Is(err, ErrLimit) {
				t.Errorf("%.200q, %v", reply, err)
			}
			if e.UsedBytes() != 0 || e.Running() != 0 {
				t.Errorf("%d bytes are still granted to %d scripts", e.UsedBytes(), e.Running())
			}
		})
	}
	if reply, err := run(t, e, &echo{}, "return ARGV[1]", "fine"); reply != "$4\r\nfine\r\n" || err != nil {
		t.Errorf("afterwards: %q, %v", reply, err)
	}
}

// TestErrorsOfTooMuch sees what ends a script with an error that it can catch, for it does not go on growing.
func TestErrorsOfTooMuch(t *testing.T) {
	e := engine(Limits{})
	for body, want := range map[string]string{
		"local function f() return 1+f() end return f()":                                                 "stack overflow",
		"local function f() f() end f()":                                                                 "stack overflow",
		"local function f() pcall(f) error('x') end f()":                                                 "x",
		"return (pcall(string.rep))":                                                                     "$-1",
		"local t=setmetatable({},{}) getmetatable(t).__index=t return t.x":                               "too many",
		"local t=setmetatable({},{__index=function(t,k) return t[k] end}) return t.x":                    "stack overflow",
		"local s=('x'):rep(100) return s:find(('('):rep(40))":                                            "too many captures",
		"return unpack({},1,1e7)":                                                                        "too many results",
		"return loadstring(('('):rep(5000)..'1'..(')'):rep(5000))":                                       "$-1",
		"return loadstring('return '..('{'):rep(5000)..('}'):rep(5000))":                                 "$-1",
		"local t={} for i=1,300 do t[i]='local a'..i..'=1' end return loadstring(table.concat(t,'\\n'))": "$-1",
		"return coroutine.yield(1)":                                                                      "outside",
		"return string.format('%1000d',1)":                                                               "invalid format",
		"return cjson.decode(('['):rep(5000))":                                                           "too many nested",
		"local t={} t[0/0]=1":                                                                            "NaN",
		"local t={} t[nil]=1":                                                                            "nil",
		"local co co=coroutine.create(function() return coroutine.resume(co) end) return {coroutine.resume(co)}": "running",
	} {
		reply, err := run(t, e, &echo{}, body)
		if err != nil || !strings.Contains(reply, want) {
			t.Errorf("%s\n  %.300q, %v; want %q", body, reply, err, want)
		}
	}
}

// TestNothingStays sees that a script finds nothing of one that ran before it on the same machine.
func TestNothingStays(t *testing.T) {
	e := engine(Limits{})
	for _, body := range []string{
		"KEYS.x=1 ARGV.x=1 KEYS[1]='left' return 1", "math.randomseed(5) return 1", "redis.setresp(3) return 1",
		"local c=coroutine.create(function() coroutine.yield() end) coroutine.resume(c) return 1",
		"pcall(function() string.x=1 end) pcall(rawset,_G,'x',1) return 1", "return {1,2,{3}}",
	} {
		before, _ := run(t, e, &echo{}, "return tostring(math.random())")
		if reply, err := run(t, e, &echo{}, body); err != nil || reply[0] == '-' {
			t.Fatalf("%s: %q, %v", body, reply, err)
		}
		if after, _ := run(t, e, &echo{}, "return tostring(math.random())"); after != before {
			t.Errorf("after %s random numbers are others", body)
		}
		reply, err := run(t, e, &echo{}, "local n=0 for k in pairs(_G) do n=n+1 end return {#KEYS,#ARGV,tostring(KEYS.x),tostring(rawget(string,'x')),tostring(rawget(_G,'x')),true,tostring(coroutine.running())}")
		if want := "*7\r\n:0\r\n:0\r\n$3\r\nnil\r\n$3\r\nnil\r\n$3\r\nnil\r\n:1\r\n$3\r\nnil\r\n"; reply != want || err != nil {
			t.Errorf("after %s: %q, %v", body, reply, err)
		}
	}
}

// TestFatalErrorOfHost sees that a script can't catch an error that ends its transaction.
func TestFatalErrorOfHost(t *testing.T) {
	boom := errors.New("boom")
	for _, body := range []string{
		"return redis.call('x')", "return redis.pcall('x')", "pcall(redis.call,'x') return 1",
		"while true do pcall(redis.pcall,'x') end", "coroutine.resume(coroutine.create(function() redis.call('x') end)) return 1",
		"xpcall(function() redis.call('x') end, function() return 1 end) return 1", "('x'):gsub('x',function() redis.call('x') end) return 1",
	} {
		h := &echo{fail: boom, reply: "+OK\r\n"}
		if reply, err := run(t, engine(Limits{}), h, body); err != boom || reply != "" || h.calls != 1 {
			t.Errorf("%s: %q, %v after %d calls", body, reply, err, h.calls)
		}
	}
}

// TestTotalMemory sees that scripts together are bounded.
func TestTotalMemory(t *testing.T) {
	e := engine(Limits{MemoryBytes: 8 << 20, TotalBytes: 3 << 20})
	h := &nested{t: t, e: e}
	if _, err := run(t, e, h, "local s=('x'):rep(2e6) redis.call('x') return 1"); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(h.err, ErrLimit) || !strings.Contains(h.err.Error(), "all scripts") {
		t.Errorf("the second script ended with %v", h.err)
	}
}

// nested runs a second script while the first waits for a command.
type nested struct {
	echo
	t   *testing.T
	e   *Engine
	err error
}

func (n *nested) Call(args [][]byte, reply *resp.Writer) error {
	_, n.err = run(n.t, n.e, &n.echo, "return #('x'):rep(2e6)")
	return n.echo.Call(args, reply)
}

func TestTimeAndKill(t *testing.T) {
	clock := time.Unix(0, 0)
	e := New(Options{Limits: Limits{Time: time.Second}, Now: func() time.Time {
		clock = clock.Add(100 * time.Millisecond)
		return clock
	}})
	if _, err := run(t, e, &echo{}, "while true do end"); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "script-time-ms-max") {
		t.Errorf("an endless script ended with %v", err)
	}
	if e.Kill() {
		t.Error("killed what did not run")
	}
	e = engine(Limits{Steps: 1 << 60, Time: time.Hour})
	ended := make(chan error)
	go func() {
		s, _ := e.Compile("redis.call('x') while true do end")
		var w resp.Writer
		ended <- e.Run(context.Background(), s, &echo{}, nil, nil, &w)
	}()
	for !e.Kill() {
		time.Sleep(0)
	}
	for {
		select {
		case err := <-ended:
			if !errors.Is(err, errKilled) {
				t.Error(err)
			}
			return
		default:
			e.Kill()
		}
	}
}

// FuzzScript sees that no text harms the process or outlives its bounds, and that each has exactly one reply or an error.
func FuzzScript(f *testing.F) {
	for _, body := range []string{
		"return redis.call('get',KEYS[1])", "return {1,{2},{ok='x'},{err='y'}}", "local t={} for i=1,10 do t[i]=i..'x' end return t",
		"return cjson.encode(cjson.decode('{\"a\":[1,2,{}]}'))", "return ('abc'):gsub('%w','%0%0')", "return string.format('%5.2f|%q',1.5,'x')",
		"local f=coroutine.wrap(function() coroutine.yield(1) end) return {f(),f()}", "return pcall(error,{1})", "goto x ::x:: return 1",
		"return {coroutine.resume(coroutine.create(function() return pcall(coroutine.yield) end))}", "return select('#',unpack({1,nil,3}))",
		"table.sort({3,1,2},function(a,b) return true end)", "return load(function() return nil end)", "#!lua flags=no-writes\nreturn 1",
		"return setmetatable({},{__index=function(t,k) error(k) end}).x", "return bit.tohex(-1,-8)", "return tostring(-0/0)..1e300*1e300",
	} {
		f.Add(body)
	}
	e := engine(Limits{ScriptBytes: 4096, Steps: 20_000, Time: 10 * time.Second, MemoryBytes: 1 << 20, ReplyBytes: 1 << 16})
	f.Fuzz(func(t *testing.T, body string) {
		reply, err := run(t, e, &echo{reply: "*2\r\n+OK\r\n$1\r\nx\r\n"}, body, "arg")
		if (err == nil) != (len(reply) > 3) {
			t.Errorf("%q and %v", reply, err)
		}
		if e.UsedBytes() != 0 {
			t.Error("memory is still granted")
		}
		if after, err := run(t, e, &echo{}, "return redis.call('a','b')"); after != ":2\r\n" || err != nil {
			t.Errorf("the next script: %q, %v", after, err)
		}
	})
}

// TestPackingIsBounded sees that neither packing nor unpacking gets past the limits of a run, and that a few bytes that promise a lot
// cost nothing.
func TestPackingIsBounded(t *testing.T) {
	for _, body := range []string{
		"local t = {} for i = 1, 1000 do t[i] = string.rep('x', 100) end local all = {} for i = 1, 1e9 do all[i] = cmsgpack.pack(t) end",
		"local s = string.rep('\\144', 1e5) local all = {} for i = 1, 1e9 do all[i] = cmsgpack.unpack('\\221' .. s) end",
		"local s = string.rep('x', 1000) local all = {} for i = 1, 1e9 do all[i] = struct.pack('s', s) end",
		"local f = string.rep('b', 7000) while true do struct.unpack(f, string.rep('x', 7000)) end",
		"local s = '' for i = 1, 20 do s = s .. struct.pack('i', i) end while true do struct.size(string.rep('i', 500)) end",
	} {
		if _, err := run(t, engine(small()), &echo{}, body); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, body := range []string{
		"return cmsgpack.unpack('\\221\\223')",
		"return cmsgpack.unpack('\\221\\223\\1')",
		"return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
		"return cmsgpack.unpack(string.rep('\\145', 5000))",
		"return cmsgpack.unpack(string.rep('\\1', 60000))",
		"return struct.unpack('c2000000000', 'x')",
		"return struct.unpack('dc0', struct.pack('d', -1) .. 'x')",
		"return struct.unpack('dc0', struct.pack('d', 0/0) .. 'x')",
		"return struct.unpack('dc0', struct.pack('d', 1e300) .. 'x')",
		"return struct.pack('!1073741824i32', 1)",
		"return cmsgpack.unpack('\\130\\203\\127\\248\\0\\0\\0\\0\\0\\0\\1\\1')",
	} {
		if reply, err := run(t, engine(small()), &echo{}, body); errors.Is(err, ErrLimit) {
			t.Errorf("%s: %s, %v", body, reply, err)
		}
	}
}
