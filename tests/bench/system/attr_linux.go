package system

import "syscall"

// childAttr keeps Ctrl-C in the terminal from the servers (they are stopped in order by this program), and has the
// kernel end them if this program is killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
