package server

import "sync/atomic"

// Stats counts since the start, except Connections.
type Stats struct {
	Connections      int64 // open now
	ConnectionsTotal int64 // accepted, the rejected ones not counted
	Rejected         int64 // beyond MaxClients
	AcceptErrors     int64
	Commands         int64
	Batches          int64
	Refused          int64 // commands thrown away for their size
	ProtocolErrors   int64 // connections closed for one
	Panics           int64 // connections closed for one
	SlowClients      int64 // connections closed because replies were not read
	TimedOut         int64 // connections closed as idle, stalled or not authenticated in time
	BytesIn          int64
	BytesOut         int64
	InputBytes       int64 // input buffers now
}

type counters struct {
	accepted, rejected, acceptErrors, commands, batches, refused     atomic.Int64
	protocolErrors, panics, slowClients, timedOut, bytesIn, bytesOut atomic.Int64
}

// Stats is a copy of the counters.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Connections:      s.open.Load(),
		ConnectionsTotal: c.accepted.Load(),
		Rejected:         c.rejected.Load(),
		AcceptErrors:     c.acceptErrors.Load(),
		Commands:         c.commands.Load(),
		Batches:          c.batches.Load(),
		Refused:          c.refused.Load(),
		ProtocolErrors:   c.protocolErrors.Load(),
		Panics:           c.panics.Load(),
		SlowClients:      c.slowClients.Load(),
		TimedOut:         c.timedOut.Load(),
		BytesIn:          c.bytesIn.Load(),
		BytesOut:         c.bytesOut.Load(),
		InputBytes:       s.input.used.Load(),
	}
}
