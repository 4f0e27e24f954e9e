package server

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/tidwall/redcon"
)

// FuzzGuard: whatever the bytes and however they are cut, the guard does not panic, holds little more than it was given,
// finds the same commands, and on what a plain parser accepts finds what that finds.
func FuzzGuard(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(s.in), uint16(3), uint16(1))
	}
	f.Add([]byte("*2\r\n$4\r\nECHO\r\n$2000\r\nabc"), uint16(1), uint16(9))
	limits := Limits{BulkBytes: 500, RequestBytes: 2000}
	f.Fuzz(func(t *testing.T, in []byte, a, b uint16) {
		whole := parse(in, limits, len(in)+1)
		for _, l := range []Limits{limits, {BulkBytes: 500, RequestBytes: 2000, PipelineCommands: 1}} {
			cut := parse(in, l, int(a%5000)+1, int(b%5000)+1)
			if !slices.Equal(whole.commands, cut.commands) || whole.err != cut.err {
				t.Fatalf("whole: %q, error %q\n  cut: %q, error %q", whole.commands, whole.err, cut.commands, cut.err)
			}
		}
		if bound := max(inputBytesMin, 4*min(len(in), 4*lineBytesMax)); whole.bufMax > bound {
			t.Fatalf("a buffer of %d bytes for %d bytes of input", whole.bufMax, len(in))
		}
		if want, ok := plainParse(in); ok && !slices.Equal(want, whole.commands) {
			t.Fatalf("got %q\nwant %q", whole.commands, want)
		}
	})
}

// plainParse is the reference: it knows only complete, small commands in RESP form, and declines everything else.
func plainParse(in []byte) (commands []string, ok bool) {
	for len(in) > 0 {
		count, rest, ok := plainLength(in, '*')
		if !ok || count < 1 || count > 50 {
			return nil, false
		}
		args := make([][]byte, count)
		for i := range args {
			var n int
			if n, rest, ok = plainLength(rest, '$'); !ok || n < 0 || n > 30 || len(rest) < n+2 || string(rest[n:n+2]) != "\r\n" {
				return nil, false
			}
			args[i], rest = rest[:n], rest[n+2:]
		}
		if crossProtocol(args[0]) {
			return nil, false
		}
		commands = append(commands, fmt.Sprintf("%q", args))
		in = rest
	}
	return commands, true
}

func plainLength(in []byte, kind byte) (n int, rest []byte, ok bool) {
	line, rest, found := bytes.Cut(in, []byte("\r\n"))
	if !found || len(line) < 2 || line[0] != kind {
		return 0, nil, false
	}
	n, err := strconv.Atoi(string(line[1:]))
	return n, rest, err == nil && strconv.Itoa(n) == string(line[1:])
}

// FuzzAgainstRedcon: on valid streams the guard finds the commands that redcon's own reader finds.
func FuzzAgainstRedcon(f *testing.F) {
	f.Add([]byte("SET key value"), []byte{3, 1, 0}, uint16(5))
	f.Add([]byte("\r\n*1\r\n$4\r\n"), []byte{2, 2, 200}, uint16(1))
	f.Fuzz(func(t *testing.T, data, shape []byte, cut uint16) {
		if len(shape) > 200 || len(data) > 10_000 {
			return
		}
		in := streamOf(data, shape)
		var want []string
		reader := redcon.NewReader(bytes.NewReader(in))
		for {
			cmds, err := reader.ReadCommands()
			if err != nil {
				break
			}
			for _, cmd := range cmds {
				want = append(want, fmt.Sprintf("%q", cmd.Args))
			}
		}
		got := parse(in, Limits{}, int(cut)+1)
		if !slices.Equal(got.commands, want) || got.err != "" {
			t.Fatalf("guard: %q, error %q\nredcon: %q", got.commands, got.err, want)
		}
	})
}

// streamOf makes commands of pieces of data: each byte of the shape is the length of an argument, and a byte above 200
// begins a new command.
func streamOf(data, shape []byte) (in []byte) {
	var args [][]byte
	end := func() {
		if len(args) > 0 && !crossProtocol(args[0]) {
			in = append(in, encode(args)...)
		}
		args = nil
	}
	for _, n := range shape {
		if n > 200 {
			end()
			continue
		}
		size := min(int(n), len(data))
		args = append(args, data[:size])
		data = data[size:]
	}
	end()
	return in
}

// FuzzInline: splitting a line never panics, and quoting brings every argument through.
func FuzzInline(f *testing.F) {
	f.Add([]byte(`a "b\x41" 'c\'d'`))
	f.Add([]byte("\"\\"))
	f.Fuzz(func(t *testing.T, line []byte) {
		splitLine(line)
		quoted := append([]byte("X "), '"')
		for _, c := range line {
			quoted = fmt.Appendf(quoted, `\x%02x`, c)
		}
		args, err := splitLine(append(quoted, '"'))
		if err != nil || len(args) != 2 || !bytes.Equal(args[1], line) {
			t.Fatalf("%q came through as %q, %v", line, args, err)
		}
	})
}
