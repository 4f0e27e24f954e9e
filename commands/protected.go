package commands

import "net"

// errDenied is how protected mode answers. It begins as Redis's text does, and says what to do here.
const errDenied = "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. " +
	"In this mode connections are only accepted from the loopback interface. To connect from elsewhere do one of these: " +
	"1) Set a password for the default user: the setting requirepass, or from the server's own machine ACL SETUSER default resetpass '>password'. " +
	"2) Make users with ACL SETUSER and turn the default user off. " +
	"3) Set protected-mode = false, if nobody reaches the server who must not."

// errNoUsers is for a node that joins. Clients know LOADING, and try again.
const errNoUsers = "LOADING the node is joining the cluster and does not know its users yet"

// Refusal is what a client from an address is told instead of being served; empty: it is served. While the default user needs no
// password, protected mode lets in only clients of the same machine.
func (h *Handler) Refusal(remote string) string {
	if !h.knowsUsers() {
		return errNoUsers
	}
	if !h.protected.Load() || !h.users.Default().User().Open() || local(remote) {
		return ""
	}
	return errDenied
}

// knowsUsers tells whether this node has the users of its cluster. Once it has them it keeps them.
func (h *Handler) knowsUsers() bool {
	if h.member == nil || h.isMember.Load() {
		return true
	}
	if !h.member() || h.LoadUsers() != nil {
		return false
	}
	h.isMember.Store(true)
	return true
}

// local tells whether an address is one of this machine. What is no IP address is a socket of it, or a test's.
func local(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip := net.ParseIP(host)
	return ip == nil || ip.IsLoopback()
}
