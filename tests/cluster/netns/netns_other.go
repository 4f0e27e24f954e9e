//go:build !linux

// Package netns makes a network of namespaces for processes, on Linux.
package netns

import (
	"errors"
	"os/exec"
)

// ErrNone says that this machine can't make such a network.
var ErrNone = errors.New("no network namespaces")

// Net is a network.
type Net struct{}

// Way is what one node sends to another.
type Way struct{ From, To int }

func New(int) (*Net, error)                           { return nil, ErrNone }
func (*Net) Space(int) string                         { return "" }
func (*Net) IP(int) string                            { return "" }
func (*Net) Command(int, string, ...string) *exec.Cmd { return nil }
func (*Net) Cut([]Way, int) error                     { return ErrNone }
func (*Net) Heal() error                              { return ErrNone }
func (*Net) Dropped() int                             { return 0 }
func (*Net) Slow(int, int) error                      { return ErrNone }
func (*Net) Narrow(int, int) error                    { return ErrNone }
func (*Net) Widen(int)                                {}
func (*Net) Close()                                   {}
