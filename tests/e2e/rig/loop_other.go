//go:build !linux

package rig

import "errors"

// ErrNoLoop says that this machine can't make loop devices.
var ErrNoLoop = errors.New("no loop devices")

// Disk is a file system in a file, on Linux.
type Disk struct{ Mount string }

func NewDisk(string, int64) (*Disk, error) { return nil, ErrNoLoop }
func (*Disk) Close() error                 { return ErrNoLoop }
func (*Disk) Cut() error                   { return ErrNoLoop }
func (*Disk) Restore() error               { return ErrNoLoop }
func (*Disk) Freeze() error                { return ErrNoLoop }
func (*Disk) Thaw() error                  { return ErrNoLoop }
func (*Disk) Fill(uint64) error            { return ErrNoLoop }
func (*Disk) Empty() error                 { return ErrNoLoop }
func Share(string) error                   { return ErrNoLoop }
func Unmount(string) error                 { return ErrNoLoop }
