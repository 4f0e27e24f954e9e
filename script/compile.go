package script

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// Script is a compiled script. It does not change, and is safe for concurrent use.
type Script struct {
	SHA     string // hexadecimal digits in lower case
	Body    string
	NoWrite bool // it declares that it does not write: flags=no-writes

	proto *lua.FunctionProto
}

// Size is about how many bytes the script takes in memory.
func (s *Script) Size() int { return 512 + 12*len(s.Body) }

// SHA is the name of a script.
func SHA(body string) string {
	sum := sha1.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// chunkName is how Redis names scripts in errors.
const chunkName = "user_script"

// CompileError is why a text is no script. Its text is the whole reply.
type CompileError string

func (e CompileError) Error() string { return string(e) }

// Compile reads a script. The error is a CompileError.
func (e *Engine) Compile(body string) (*Script, error) {
	if n := e.limits.ScriptBytes; len(body) > n {
		return nil, CompileError(fmt.Sprintf("ERR script too large (limit %d bytes)", n))
	}
	s := &Script{SHA: SHA(body), Body: body}
	code := body
	if strings.HasPrefix(body, "#!") {
		line, _, _ := strings.Cut(body, "\n")
		if err := s.shebang(line); err != nil {
			return nil, err
		}
		code = body[len(line):] // the newline stays, so that lines keep their numbers
	}
	proto, err := compile(code, chunkName)
	if err != nil {
		return nil, CompileError("ERR Error compiling script (new function): " + err.Error())
	}
	s.proto = proto
	return s, nil
}

// shebang reads the first line, #!lua flags=a,b.
func (s *Script) shebang(line string) error {
	words := strings.Fields(line[2:])
	if len(words) == 0 {
		return CompileError("ERR Invalid script shebang")
	}
	if words[0] != "lua" {
		return CompileError(fmt.Sprintf("ERR Unexpected engine in script shebang: #!%s", words[0]))
	}
	for _, w := range words[1:] {
		flags, ok := strings.CutPrefix(w, "flags=")
		if !ok {
			return CompileError(fmt.Sprintf("ERR Unknown lua shebang option: %s", w))
		}
		for f := range strings.SplitSeq(flags, ",") {
			if !slices.Contains([]string{"", "no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"}, f) {
				return CompileError(fmt.Sprintf("ERR Unexpected flag in script shebang: %s", f))
			}
			s.NoWrite = s.NoWrite || f == "no-writes"
		}
	}
	return nil
}

// compile turns text to code of the virtual machine. The error's text begins with the place.
func compile(code, name string) (proto *lua.FunctionProto, err error) {
	defer func() {
		// What the parser and the compiler of gopher-lua don't expect, they panic on. They have touched nothing else.
		if caught := recover(); caught != nil {
			proto, err = nil, fmt.Errorf("%s:1: %v", name, caught)
		}
	}()
	chunk, err := parse.Parse(strings.NewReader(code), name)
	if err != nil {
		return nil, syntaxError(err, code, name)
	}
	(&rewriter{}).block(chunk)
	if proto, err = lua.Compile(chunk, name); err != nil {
		var e *lua.CompileError
		if errors.As(err, &e) {
			return nil, fmt.Errorf("%s:%d: %s", name, e.Line, e.Message)
		}
		return nil, err
	}
	return proto, nil
}

// tokenShown is how many bytes of a token an error shows.
const tokenShown = 80

// syntaxError writes an error of the parser as Lua does.
func syntaxError(err error, code, name string) error {
	var e *parse.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s:1: %w", name, err)
	}
	message := strings.TrimSpace(e.Message)
	if message == "syntax error" {
		message = "unexpected symbol"
	}
	if e.Pos.Line == parse.EOF {
		return fmt.Errorf("%s:%d: %s near '<eof>'", name, 1+strings.Count(strings.TrimSuffix(code, "\n"), "\n"), message)
	}
	return fmt.Errorf("%s:%d: %s near '%s'", name, e.Pos.Line, message, e.Token[:min(len(e.Token), tokenShown)])
}
