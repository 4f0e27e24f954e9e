//go:build !linux

package demo

import "syscall"

// ownGroup keeps a terminal's Ctrl-C, which goes to the whole group, from the nodes: they are ended in order.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
