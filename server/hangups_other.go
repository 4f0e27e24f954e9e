//go:build !linux

package server

import (
	"errors"
	"syscall"
)

// hangups is of Linux. Elsewhere a connection whose command blocks keeps its goroutine, which reads it.
type hangups struct{}

func openHangups(func(id int64)) (*hangups, error) { return nil, errors.ErrUnsupported }

func (*hangups) watch(syscall.RawConn, int64) bool { return false }
func (*hangups) forget(syscall.RawConn)            {}
func (*hangups) close()                            {}
