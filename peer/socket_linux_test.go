package peer

import (
	"crypto/tls"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeadConnectionsAreGivenUpFast: all connections have the kernel's time limits, behind TLS too.
func TestDeadConnectionsAreGivenUpFast(t *testing.T) {
	settings := newAuthority(t).issue(t, soon)
	for _, change := range []func(*Config){func(*Config) {}, func(c *Config) { c.TLS = func() (*tls.Config, error) { return settings, nil } }} {
		a, b, _ := pair(t, change)
		mustCall(t, a, b.LocalAddr(), otherKind+"echo x", "x")
		for _, n := range []*Network{a, b} {
			n.mu.Lock()
			for c := range n.conns {
				raw, err := c.(*net.TCPConn).SyscallConn()
				if err != nil {
					t.Error(err)
					continue
				}
				if err := raw.Control(func(fd uintptr) { checkSocket(t, int(fd)) }); err != nil {
					t.Error(err)
				}
			}
			if len(n.conns) != 1 {
				t.Error(len(n.conns), "connections")
			}
			n.mu.Unlock()
		}
	}
}

func checkSocket(t *testing.T, fd int) {
	for _, want := range []struct{ level, option, value int }{
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 2000},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 5},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	} {
		if got, err := unix.GetsockoptInt(fd, want.level, want.option); err != nil || got != want.value {
			t.Errorf("option %d/%d is %d, want %d; %v", want.level, want.option, got, want.value, err)
		}
	}
}
