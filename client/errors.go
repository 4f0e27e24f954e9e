package client

import (
	"errors"
	"strings"
)

// ServerError is an error that the server answered.
type ServerError struct{ Text string }

func (e *ServerError) Error() string { return e.Text }

// Prefix is the first word, which says what kind of error it is.
func (e *ServerError) Prefix() string {
	word, _, _ := strings.Cut(e.Text, " ")
	return word
}

// UnreachableError says that no address could be connected to; nothing was sent.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string {
	return "no server can be reached: " + strings.ReplaceAll(e.Err.Error(), "\n", "; ")
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// BrokenError says that commands may have been sent but not all replies came. What was sent may or may not take effect.
type BrokenError struct {
	Addr string
	Err  error
}

func (e *BrokenError) Error() string { return e.Addr + " gave no answer: " + e.Err.Error() }
func (e *BrokenError) Unwrap() error { return e.Err }

// tooManyClients is what Redis and this server say to a connection too many, instead of serving it.
const tooManyClients = "ERR max number of clients reached"

// Unchanged tells that the call was certainly not executed, and may be repeated, best on another server.
func Unchanged(err error) bool {
	if server := (*ServerError)(nil); errors.As(err, &server) {
		switch server.Prefix() {
		case "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN":
			return true
		}
		return strings.HasPrefix(server.Text, tooManyClients)
	}
	unreachable := (*UnreachableError)(nil)
	return errors.As(err, &unreachable)
}

// Uncertain tells that the call may or may not have taken effect, or still may.
func Uncertain(err error) bool {
	if server := (*ServerError)(nil); errors.As(err, &server) {
		return server.Prefix() == "UNCERTAIN"
	}
	broken := (*BrokenError)(nil)
	return errors.As(err, &broken)
}
