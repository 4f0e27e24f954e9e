package server

import (
	"context"
	"crypto/tls"

	"kahuna/resp"
)

// PortKind tells which of the two ports a client came in by.
type PortKind uint8

const (
	PortMain    PortKind = iota // every command, never MOVED
	PortCluster                 // only what this node leads
)

// Handler opens sessions. The command layer implements it.
type Handler interface {
	// Open is called on the connection's own goroutine, before anything was read. It must not return nil.
	Open(info ConnInfo) Session
}

// Session serves one connection. The server calls it from one goroutine at a time.
type Session interface {
	// Serve runs commands that arrived together, in order, and appends exactly one reply for each to w, unless having
	// none is meant. It returns false when the connection is to be closed after the replies were sent. ctx ends when
	// the client is known to be gone, the connection was killed, or Shutdown ran out of patience; see
	// ConnInfo.Suspend for a command that blocks. A panic ends this connection only.
	// The slice cmds is valid until Serve returns; the arguments in it for good.
	Serve(ctx context.Context, cmds []Command, w *resp.Writer) (keep bool)
	// Resume goes on behind ConnInfo.Suspend: it appends the reply of the command that blocked, and serves what was behind it in its
	// batch, as Serve does.
	Resume(ctx context.Context, w *resp.Writer) (keep bool)
	// Limits are asked before each batch.
	Limits() Limits
	// Close is called once, last.
	Close()
}

// ConnInfo is what a session knows of its connection.
type ConnInfo struct {
	ID     int64 // from 1, never used twice by a Server
	Remote string
	Local  string
	Port   PortKind
	TLS    *tls.ConnectionState // nil without TLS; the handshake is done

	// Kill closes the connection at once, from any goroutine. Replies not yet sent are lost.
	Kill func()
	// Push sends out-of-band data, from any goroutine, and does not wait: it calls fn at once with a Writer of the
	// client's protocol version. The data is sent between replies, and not before the replies of a batch that is
	// running, unless that is suspended. fn must not block or call into the connection. A client that lets more than
	// Config.PushBufferBytes gather is killed. After the end of the connection Push does nothing.
	Push func(fn func(w *resp.Writer))
	// Collect puts what was pushed before, and was not sent yet, into w. Only Serve may call it, where w ends with a whole
	// reply: for a reply that says that no more will be pushed, and so must not come before what was.
	Collect func()
	// Flush sends the replies written so far. Only Serve may call it, where w ends with a whole reply. The error needs
	// no handling: ctx has ended then.
	Flush func() error
	// Suspend is for a command that blocks. Only Serve and Resume may call it, where w ends with a whole reply, and must return
	// right after, with true, without having served what is behind the command. The replies so far are sent; then, until resume is
	// called, from any goroutine, pushed data is sent, and interrupt is called when the client
	// goes, is killed, or Shutdown begins: from any goroutine, maybe more than once, and also after resume; it must not wait. Once
	// resume was called, which may be repeated, the session goes on with Resume. A client that waits over
	// a socket costs its connection and nothing beside: no goroutine, no buffer. Of other connections, what arrives meanwhile is kept for later,
	// up to 64 KiB; behind that a disconnect is not noticed.
	Suspend func(interrupt func(cause error)) (resume func())
}
