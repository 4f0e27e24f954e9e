package peer

import (
	"net"
	"time"
)

// setTimeouts makes the kernel find out that the other end is gone: without traffic by probes, with unconfirmed bytes after
// unacked. It does nothing to what is not TCP.
func setTimeouts(c net.Conn, unacked time.Duration) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	err := tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 3})
	if err != nil {
		return err
	}
	return setUnackedTimeout(tcp, unacked)
}
