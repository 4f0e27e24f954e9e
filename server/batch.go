package server

import (
	"bytes"
	"slices"

	"github.com/tidwall/redcon"
)

// Command is one request of a client.
//
// Args, the name first, belong to the session for good: nobody else reads or writes them. Small commands of one batch
// share an allocation of up to 64 KiB, so what is kept for long (a name in a table) is better copied.
type Command struct {
	Args [][]byte
	Size int // bytes on the wire
	// Refused is not empty when the command was thrown away because it is too large; Args is then empty. It is the
	// error to answer with ("ERR argument is too large (limit N bytes)"), and in a MULTI the transaction is spoiled.
	Refused string
}

// runBytesMax bounds what one kept argument can pin in memory beyond its own command.
const runBytesMax = 64 << 10

// batch turns frames into commands. The slice of commands is used again, their arguments are not.
type batch struct{ cmds []Command }

// take decodes the guard's frames into commands that no longer need the guard's buffer. The commands are valid until
// the next take. A command that only a web browser would send ends the batch before it and sets the guard's error.
func (b *batch) take(g *guard) []Command {
	clear(b.cmds)
	b.cmds = b.cmds[:0]
	for frames := g.frames; len(frames) > 0; {
		n := runLength(frames)
		if err := b.decode(g.buf, frames[:n]); err != nil {
			g.err = err
			break
		}
		frames = frames[n:]
	}
	return b.cmds
}

// runLength is how many of the first frames are copied together: neighbours in the buffer, up to runBytesMax.
func runLength(frames []frame) int {
	n := 1
	if !frames[0].plain() {
		return n
	}
	for n < len(frames) && frames[n].plain() && frames[n].to-frames[0].from <= runBytesMax {
		n++
	}
	return n
}

func (f *frame) plain() bool { return f.inline == nil && f.refused == "" }

// decode copies one run of frames and lets redcon find the arguments in the copy.
func (b *batch) decode(buf []byte, run []frame) *protocolError {
	first, last := &run[0], &run[len(run)-1]
	if first.refused != "" {
		b.cmds = append(b.cmds, Command{Size: first.size, Refused: first.refused})
		return nil
	}
	data, base := first.inline, 0
	if data == nil {
		data, base = bytes.Clone(buf[first.from:last.to]), first.from
	} else {
		first.from, first.to = 0, len(data)
	}
	room := make([][]byte, argcSum(run))
	for i := range run {
		f := &run[i]
		args := room[:0:f.argc]
		room = room[f.argc:]
		complete, args, _, _, err := redcon.ReadNextCommand(data[f.from-base:f.to-base], args)
		if err != nil || !complete || len(args) != f.argc {
			return errArgs // the two parsers disagree, so neither is to be trusted with this client
		}
		if crossProtocol(args[0]) {
			return errCrossProtocol
		}
		clip(args)
		b.cmds = append(b.cmds, Command{Args: args, Size: f.size})
	}
	return nil
}

func argcSum(run []frame) (n int) {
	for i := range run {
		n += run[i].argc
	}
	return n
}

// clip keeps an append to one argument from writing over the next.
func clip(args [][]byte) {
	for i, arg := range args {
		args[i] = slices.Clip(arg)
	}
}

// crossProtocol recognizes the start of an HTTP request, which a web page can be made to send here.
func crossProtocol(name []byte) bool {
	switch len(name) {
	case 4:
		return bytes.EqualFold(name, []byte("post"))
	case 5:
		return bytes.EqualFold(name, []byte("host:"))
	}
	return false
}
