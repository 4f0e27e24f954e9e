package server

import (
	"errors"
	"fmt"
)

// Why a connection's context was cancelled, for context.Cause, and what Serve returns.
var (
	ErrClosed       = errors.New("server: closed")              // Shutdown was called
	ErrDisconnected = errors.New("server: client disconnected") // the client closed, or the connection broke
	ErrKilled       = errors.New("server: connection killed")   // ConnInfo.Kill
	ErrSlowClient   = errors.New("server: client does not read its replies")
	ErrIdle         = errors.New("server: idle or stalled for too long")
	errInputMemory  = errors.New("server: input buffers of all clients are full")
	errDone         = errors.New("server: connection ended")
)

// protocolError ends a connection. Its text is what the client is told, Redis's own wherever Redis has one; an empty
// text closes without a word.
type protocolError struct{ text string }

func (e *protocolError) Error() string { return e.text }

var (
	errArgs          = &protocolError{"ERR Protocol error: invalid multibulk length"}
	errBulk          = &protocolError{"ERR Protocol error: invalid bulk length"}
	errUnauthArgs    = &protocolError{"ERR Protocol error: unauthenticated multibulk length"}
	errUnauthBulk    = &protocolError{"ERR Protocol error: unauthenticated bulk length"}
	errArgsLine      = &protocolError{"ERR Protocol error: too big mbulk count string"}
	errBulkLine      = &protocolError{"ERR Protocol error: too big bulk count string"}
	errInline        = &protocolError{"ERR Protocol error: too big inline request"}
	errQuotes        = &protocolError{"ERR Protocol error: unbalanced quotes in request"}
	errNul           = &protocolError{"ERR Protocol error: NUL in inline request"}
	errCrossProtocol = &protocolError{}
)

func errExpectedBulk(got byte) *protocolError {
	return &protocolError{"ERR Protocol error: expected '$', got '" + string([]byte{got}) + "'"}
}

func refusedBulk(limitBytes int) string {
	return fmt.Sprintf("ERR argument is too large (limit %d bytes)", limitBytes)
}

func refusedRequest(limitBytes int) string {
	return fmt.Sprintf("ERR request is too large (limit %d bytes)", limitBytes)
}
