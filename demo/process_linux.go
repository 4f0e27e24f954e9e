package demo

import "syscall"

// ownGroup keeps a terminal's Ctrl-C, which goes to the whole group, from the nodes: they are ended in order. Should this process be
// killed, the kernel ends them.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
