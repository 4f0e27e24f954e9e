package peer

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
)

// Counters count since New. Those of a peer leave out what happened before it was known.
type Counters struct {
	BytesIn, BytesOut uint64 // on authenticated connections
	Writes            uint64 // batches of calls and answers that were written
	Calls             uint64 // made
	Handled           uint64 // of others
	StreamsOut        uint64
	StreamsIn         uint64
	Errors            uint64 // calls and streams that failed, handler's errors excepted
	Busy              uint64 // requests of others refused because of a limit
	Dials             uint64 // connections begun
}

// PeerStats are the counters of one address.
type PeerStats struct {
	Addr      string
	NodeID    string // as last proved, empty if it never was
	Connected bool   // there is a connection to it
	Counters
}

// Stats are the counters of a node's network.
type Stats struct {
	Connections     int    // open, of both directions, authenticated or not
	Unauthenticated int    // of these, opened by others and not proved yet
	Refused         uint64 // connections of others that were refused or did not prove themselves
	Peers           []PeerStats
}

type counters struct {
	bytesIn, bytesOut, writes, calls, handled, streamsOut, streamsIn, errors, busy, dials atomic.Uint64
}

func (c *counters) read() Counters {
	return Counters{
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), Writes: c.writes.Load(), Calls: c.calls.Load(),
		Handled: c.handled.Load(), StreamsOut: c.streamsOut.Load(), StreamsIn: c.streamsIn.Load(),
		Errors: c.errors.Load(), Busy: c.busy.Load(), Dials: c.dials.Load(),
	}
}

// Stats reads the counters. Peers are ordered by address.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	s := Stats{Connections: len(n.conns), Unauthenticated: n.unproved, Refused: n.refused.Load()}
	peers := make([]*peer, 0, len(n.peers))
	for _, p := range n.peers {
		peers = append(peers, p)
	}
	n.mu.Unlock()
	for _, p := range peers {
		s.Peers = append(s.Peers, p.stats())
	}
	slices.SortFunc(s.Peers, func(a, b PeerStats) int { return strings.Compare(a.Addr, b.Addr) })
	return s
}

// countedConn counts the bytes of a connection.
type countedConn struct {
	net.Conn
	c *counters
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.c.bytesIn.Add(uint64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.c.bytesOut.Add(uint64(n))
	return n, err
}
