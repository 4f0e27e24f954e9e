//go:build !linux

package peer

import (
	"net"
	"time"
)

// setUnackedTimeout does nothing here: keepalive and the time limit of writes find dead connections, later.
func setUnackedTimeout(*net.TCPConn, time.Duration) error { return nil }
