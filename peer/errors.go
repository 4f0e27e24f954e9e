package peer

import (
	"errors"
	"fmt"

	"kahuna/raftgroup"
)

// Errors of calls and streams. Those that are a raftgroup.ErrUnreachable prove that the request was not handled; after any other it
// may have been.
var (
	// ErrClosed: this node's network is closed.
	ErrClosed = fmt.Errorf("peer: network is closed: %w", raftgroup.ErrUnreachable)
	// ErrBusy: too many requests are on their way, or being handled there.
	ErrBusy = fmt.Errorf("peer: too many requests in flight: %w", raftgroup.ErrUnreachable)
	// ErrTooLarge: the request does not fit a frame.
	ErrTooLarge = fmt.Errorf("peer: request is too large: %w", raftgroup.ErrUnreachable)
	// ErrConnectionLost: the connection ended before the answer came.
	ErrConnectionLost = errors.New("peer: connection lost")
	// ErrStreamCut is what the receiver of a stream reads when it ends before its end.
	ErrStreamCut = errors.New("peer: stream was cut")
)

// ErrRefused says why the other node refused the connection.
type ErrRefused struct{ Reason string }

// Error names the reason.
func (e ErrRefused) Error() string { return "peer: refused by the other node: " + e.Reason }

// Unwrap makes it a raftgroup.ErrUnreachable: nothing was handled.
func (e ErrRefused) Unwrap() error { return raftgroup.ErrUnreachable }

// RemoteError is an error that the other node's handler returned.
type RemoteError struct{ Text string }

// Error is the error's text over there.
func (e RemoteError) Error() string { return e.Text }

// errMalformed is why a connection ends whose bytes make no sense.
var errMalformed = errors.New("peer: malformed frame")

// unreachable makes an error that happened before anything was sent a raftgroup.ErrUnreachable.
func unreachable(addr string, err error) error {
	if errors.Is(err, raftgroup.ErrUnreachable) {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return fmt.Errorf("%w: %s: %w", raftgroup.ErrUnreachable, addr, err)
}
