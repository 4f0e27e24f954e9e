package commands

import (
	"strconv"

	"kahuna/op"
)

// A cluster-aware client finds the node that leads what it asks for. What it asks elsewhere is answered with where that is, and only
// then: a node that leads one of several names runs the command on all of them, wherever the others are led.

// redirection is the MOVED for a command line whose names are all led elsewhere; empty when it is to be executed here. A transaction
// goes on where it has begun.
func (s *Session) redirection(row *Command, args [][]byte) string {
	if !row.routed || s.txn != nil || len(s.watched) > 0 || s.multi != nil && len(s.multi.requests) > 0 {
		return ""
	}
	first, last, step := row.FirstKey, row.LastKey, row.Step
	if row.NumKeysAt > 0 {
		n, _ := keyCount(args[row.NumKeysAt], len(args)-row.NumKeysAt-1)
		first, last, step = row.NumKeysAt+1, row.NumKeysAt+n, 1
	}
	if last < 0 {
		last += len(args)
	}
	to, slot := "", uint16(0)
	for i := first; i <= last && i < len(args); i += step {
		at := op.Slot(args[i])
		addr := s.h.cluster.Elsewhere(at)
		if addr == "" || s.hasReplica(row, at) {
			return ""
		}
		if to == "" {
			to, slot = addr, at
		}
	}
	if to == "" {
		return ""
	}
	return "MOVED " + strconv.Itoa(int(slot)) + " " + to
}
