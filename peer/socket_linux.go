package peer

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// setUnackedTimeout makes the kernel give up a connection whose other end has not confirmed bytes for so long. Without it, a
// connection into a hole is retried with ever longer pauses, and carries nothing for seconds after the hole has closed.
func setUnackedTimeout(c *net.TCPConn, d time.Duration) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
