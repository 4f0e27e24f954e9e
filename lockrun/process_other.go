//go:build !linux

package lockrun

import "syscall"

// attributes makes the command lead its group. Here it does not die with this process.
func attributes(group, _ bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: group} }

// relative is a process that the command started. They can't be found here: on a terminal only the command itself is ended.
type relative struct{}

func (relative) signal(syscall.Signal) {}

func family(int) []relative             { return nil }
func freeze(int, []relative) []relative { return nil }
