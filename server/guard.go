package server

import (
	"bytes"
	"io"
)

// frame is one complete command among the guard's bytes.
type frame struct {
	from, to int    // where it stands in the buffer, in RESP form
	argc     int    // arguments in it
	size     int    // bytes it took on the wire
	inline   []byte // an inline command brought into RESP form; from and to are then unused
	refused  string // the command was thrown away for its size; the error to answer it with
}

// guard judges the bytes of one connection and finds the complete commands in them.
//
// It is a state machine over buf[start:end]: every byte is looked at once, however the bytes arrive, and what it finds
// does not depend on how they were split. Nothing is allocated by a declared length.
//
//	start <= pos <= end      buf[start:pos] was judged and is still needed, buf[pos:end] is yet to be judged
//	frames                   point into buf[start:pos]; they must be taken (release) before the buffer is filled again
type guard struct {
	inputBuffer
	frames []frame
	bytes  int            // sum of the frames' sizes
	err    *protocolError // sticky; the frames before it are good

	argc    int // arguments of the command being read, 0 between commands
	left    int // of them, not yet complete
	bulk    int // length of the argument being read, -1 before its length line
	from    int // where the command began in buf
	size    int // bytes of the command announced so far
	refused string
	skip    int // bytes of a refused command's argument not yet thrown away
}

// scan finds complete commands until the bytes, a limit of the batch or the format's patience run out.
func (g *guard) scan(l *Limits) {
	for g.err == nil && len(g.frames) < l.PipelineCommands && g.bytes < l.PipelineBytes {
		if !g.step(l) {
			return
		}
	}
}

// step makes one move; false means that more bytes are needed or an error was found.
func (g *guard) step(l *Limits) bool {
	switch {
	case g.argc == 0:
		return g.begin(l)
	case g.bulk < 0:
		return g.length(l)
	case g.refused != "":
		return g.throwAway()
	default:
		return g.argument()
	}
}

// begin reads the first line of a command.
func (g *guard) begin(l *Limits) bool {
	if g.pos == g.end {
		return false
	}
	g.from = g.pos
	if g.buf[g.pos] != '*' {
		return g.inline()
	}
	line, ok := g.line(errArgsLine)
	if !ok {
		return false
	}
	count, ok := announced(line)
	switch {
	case !ok || count > l.Args:
		return g.fail(errArgs)
	case l.Unauthenticated && count > unauthArgsMax:
		return g.fail(errUnauthArgs)
	}
	g.advance(len(line) + 1)
	if count <= 0 { // "*0" and "*-1" are nothing, and so is every negative count, as in Redis
		return true
	}
	g.argc, g.left, g.bulk, g.size = count, count, -1, len(line)+1
	return true
}

// length reads the line that announces an argument.
func (g *guard) length(l *Limits) bool {
	line, ok := g.line(errBulkLine)
	if !ok {
		return false
	}
	if len(line) == 0 {
		return g.fail(errExpectedBulk(' '))
	}
	if line[0] != '$' {
		return g.fail(errExpectedBulk(line[0]))
	}
	n, ok := announced(line)
	switch {
	case !ok || n < 0 || n > bulkBytesMax:
		return g.fail(errBulk)
	case l.Unauthenticated && n > unauthBulkBytesMax:
		return g.fail(errUnauthBulk)
	}
	g.size += len(line) + 1 + n + 2
	g.refuseLarge(n, l)
	if g.refused != "" && g.size > skipBytesMax {
		return g.fail(errBulk)
	}
	g.advance(len(line) + 1)
	g.bulk, g.skip = n, n
	return true
}

func (g *guard) refuseLarge(bulk int, l *Limits) {
	switch {
	case g.refused != "":
	case bulk > l.BulkBytes:
		g.refused = refusedBulk(l.BulkNamedBytes)
	case g.size > l.RequestBytes:
		g.refused = refusedRequest(l.RequestBytes)
	}
}

// argument steps over an argument that has arrived whole.
func (g *guard) argument() bool {
	if g.end-g.pos < g.bulk+2 {
		return false
	}
	g.pos += g.bulk
	return g.endArgument()
}

// throwAway drops what has arrived of an argument of a refused command.
func (g *guard) throwAway() bool {
	n := min(g.skip, g.end-g.pos)
	g.pos += n
	g.skip -= n
	return g.skip == 0 && g.end-g.pos >= 2 && g.endArgument()
}

// endArgument steps over the line end behind an argument; both bytes are there.
func (g *guard) endArgument() bool {
	if g.buf[g.pos] != '\r' || g.buf[g.pos+1] != '\n' {
		return g.fail(errBulk)
	}
	g.advance(2)
	g.bulk = -1
	g.left--
	if g.left == 0 {
		g.found(frame{from: g.from, to: g.pos, argc: g.argc, size: g.size, refused: g.refused})
		g.argc, g.refused = 0, ""
	}
	return true
}

// inline reads a command given as a line of text.
func (g *guard) inline() bool {
	line, ok := g.line(errInline)
	if !ok {
		return false
	}
	args, perr := splitLine(line)
	if perr != nil {
		return g.fail(perr)
	}
	g.advance(len(line) + 1)
	if len(args) > 0 {
		g.found(frame{inline: encode(args), argc: len(args), size: len(line) + 1})
	}
	return true
}

func (g *guard) found(f frame) {
	g.frames = append(g.frames, f)
	g.bytes += f.size
}

// line is the bytes before the next newline, which it leaves unread. Bytes already searched are not searched again.
func (g *guard) line(tooLong *protocolError) (line []byte, ok bool) {
	n := bytes.IndexByte(g.buf[g.seen:g.end], '\n')
	if n < 0 {
		g.seen = g.end
		if g.end-g.pos > lineBytesMax {
			g.fail(tooLong)
		}
		return nil, false
	}
	line = g.buf[g.pos : g.seen+n]
	if len(line) > lineBytesMax {
		g.fail(tooLong)
		return nil, false
	}
	return line, true
}

// announced is the number in "*3\r" or "$12\r".
func announced(line []byte) (n int, ok bool) {
	last := len(line) - 1
	if last < 1 || line[last] != '\r' {
		return 0, false
	}
	return parseLength(line[1:last])
}

func (g *guard) advance(n int) {
	g.pos += n
	g.seen = g.pos
}

func (g *guard) fail(err *protocolError) bool {
	g.err = err
	return false
}

// release forgets the frames, which were taken, and the bytes that no unfinished command needs.
func (g *guard) release() {
	clear(g.frames)
	g.frames = g.frames[:0]
	g.bytes = 0
	if g.argc > 0 && g.refused == "" {
		g.discard(g.from)
	} else {
		g.discard(g.pos)
	}
}

// fill reads once. The frames must have been released.
func (g *guard) fill(r io.Reader) (n int, full bool, err error) {
	g.from -= g.compact()
	return g.inputBuffer.fill(r)
}

// shrink lets go of memory that large batches needed. The frames must have been released.
func (g *guard) shrink() {
	g.frames = nil
	g.inputBuffer.shrink()
}

// midCommand tells whether a command has begun and is not complete.
func (g *guard) midCommand() bool { return g.argc > 0 || g.pos < g.end }
