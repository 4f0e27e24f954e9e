package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"kahuna/fsm"
	"kahuna/hub"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/raftgroup"
)

// What nodes ask each other.
const (
	callWrite    hub.Kind = 0x20 // partition, unit
	callRead     hub.Kind = 0x21 // partition, timestamp, unit
	callClock    hub.Kind = 0x22 // how many timestamps
	callJoin     hub.Kind = 0x23 // a node
	callLook     hub.Kind = 0x24 // what is known of it: what is new of how the node and its replicas are
	callWhoIs    hub.Kind = 0x25 // partition: the members of its group
	callTransfer hub.Kind = 0x26 // partition, node: hand the leadership over
	// 0x27 is free.
	callLeave   hub.Kind = 0x28 // partition, lock: its owner waits no more
	callLeaders hub.Kind = 0x29 // nothing: which partitions the node leads
	callBorn    hub.Kind = 0x2a // partition: answer when it is here
	callPrepare hub.Kind = 0x2b // nothing: make the store durable
	callClose   hub.Kind = 0x2c // partitions: close a timestamp in each
	callWatch   hub.Kind = 0x2e // node, session, prefixes: what its readers wait for changes of
	callChanged hub.Kind = 0x2f // node, session: wait until something of it has changed
	// 0x30 to 0x4f are for what packages above tell each other.
	callWait = hub.Kind(raftgroup.KindWait) // partition, milliseconds, lock: wait for its turn
)

// The first byte of an answer to callWrite and callRead. What follows is the results, or the leader's id if it is known, or a text.
const (
	endResults   byte = 0
	endNotLeader byte = 1
	endFull      byte = 2
	endStopped   byte = 3
	endNoClock   byte = 4
	endUncertain byte = 5
	// 6 is not used.
	endDamaged byte = 7
	endDiskLow byte = 8
	endWaiters byte = 9
	// endMoved: the length of what the partition says of its range, that, and the results, of which some are op.Moved.
	endMoved byte = 10
)

var (
	errRequest = errors.New("cluster: the request can't be read")
	errAnswer  = errors.New("cluster: the answer can't be read")
	// errDiskLow: the leader's disk is nearly full. Nothing was changed.
	errDiskLow = errors.New("cluster: the leader's disk is nearly full")
)

func appendRead(dst []byte, id uint32, at op.Timestamp, ops []op.Op) []byte {
	dst = binary.AppendUvarint(dst, uint64(id))
	dst = binary.AppendUvarint(dst, uint64(at))
	return fsm.AppendUnit(dst, ops)
}

// takeUint takes a number off a request.
func takeUint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errRequest
	}
	return v, b[n:], nil
}

func takeID(b []byte) (uint32, []byte, error) {
	v, rest, err := takeUint(b)
	if err != nil || v > 1<<32-1 {
		return 0, nil, errRequest
	}
	return uint32(v), rest, nil
}

// handleWrite puts another node's units into the log of a partition that this node leads.
func (n *Node) handleWrite(ctx context.Context, body []byte) ([]byte, error) {
	id, rest, err := takeID(body)
	if err != nil {
		return nil, notDone(err)
	}
	var v [4]uint64
	for i := range v {
		if v[i], rest, err = takeUint(rest); err != nil {
			return nil, notDone(err)
		}
	}
	number := fsm.Number{Incarnation: op.Timestamp(v[0]), Slot: byte(v[1]), Seq: v[2]}
	units, err := decodeUnits(rest, int(min(v[3], unitOps)))
	if err != nil || number.Incarnation == 0 || number.Seq == 0 {
		return nil, notDone(errRequest)
	}
	r := n.Replica(id)
	if r == nil {
		return []byte{endNotLeader}, nil
	}
	if n.disk.low.Load() && !allFree(units) {
		return []byte{endDiskLow}, nil
	}
	p, err := r.SubmitNumbered(units, rest, number)
	if err != nil {
		return appendEnd(r, nil, err), nil
	}
	results, err := p.Await(ctx)
	return appendEnd(r, results, err), nil
}

// decodeUnits reads so many units, at least one, none of them empty.
func decodeUnits(b []byte, count int) (units []fsm.Unit, err error) {
	for range count {
		var u fsm.Unit
		if u, b, err = fsm.DecodeUnit(b); err != nil || len(u) == 0 {
			return nil, errRequest
		}
		units = append(units, u)
	}
	if len(units) == 0 || len(b) > 0 {
		return nil, errRequest
	}
	return units, nil
}

func allFree(units []fsm.Unit) bool {
	for _, u := range units {
		for _, o := range u {
			if !o.ReadOnly() && !frees(o) {
				return false
			}
		}
	}
	return true
}

// notDone makes an error that was found before anything was done arrive as one that says so.
func notDone(err error) error { return fmt.Errorf("%w: %w", raftgroup.ErrUnreachable, err) }

// handleRead reads for another node in a partition that this node leads.
func (n *Node) handleRead(ctx context.Context, body []byte) ([]byte, error) {
	id, rest, err := takeID(body)
	if err != nil {
		return nil, notDone(err)
	}
	at, rest, err := takeUint(rest)
	if err != nil {
		return nil, notDone(err)
	}
	ops, rest, err := fsm.DecodeUnit(rest)
	if err != nil || len(rest) > 0 {
		return nil, notDone(errRequest)
	}
	for _, o := range ops {
		if !o.ReadOnly() {
			return nil, notDone(errRequest)
		}
	}
	r := n.Replica(id)
	if r == nil {
		return []byte{endNotLeader}, nil
	}
	results, err := r.Read(ctx, op.Timestamp(at), ops)
	return appendEnd(r, results, err), nil
}

// appendEnd says how a unit ended.
func appendEnd(r *partition.Replica, results []op.Result, err error) []byte {
	switch {
	case err == nil:
		b := []byte{endResults}
		if slices.ContainsFunc(results, func(res op.Result) bool { return res.Status == op.Moved }) {
			said := extentOf(r).append(nil)
			b = append(binary.AppendUvarint([]byte{endMoved}, uint64(len(said))), said...)
		}
		for i := range results {
			b = op.AppendResult(b, &results[i])
		}
		return b
	case errors.Is(err, partition.ErrUncertain):
		return []byte{endUncertain}
	case errors.Is(err, partition.ErrFull):
		return []byte{endFull}
	case errors.Is(err, partition.ErrStopped):
		return []byte{endStopped}
	case errors.Is(err, partition.ErrNoClock):
		return []byte{endNoClock}
	case errors.Is(err, partition.ErrWaiters):
		return []byte{endWaiters}
	case errors.Is(err, mvcc.ErrDamaged):
		return append([]byte{endDamaged}, err.Error()...)
	}
	leader, _ := r.Group().Leader()
	return append([]byte{endNotLeader}, leader...)
}

// cutMoved takes what a partition has said of its range off an answer; nil: it has said nothing. What is left is an answer of results.
func cutMoved(b []byte) (said *extent, rest []byte, err error) {
	if len(b) == 0 || b[0] != endMoved {
		return nil, b, nil
	}
	n, b, err := takeUint(b[1:])
	if err != nil || n > uint64(len(b)) {
		return nil, nil, errAnswer
	}
	said, err = decodeExtent(b[:n])
	return said, append([]byte{endResults}, b[n:]...), err
}

// readEnd reads what appendEnd wrote, for n operations. leader is who leads, if the answer says so.
func readEnd(b []byte, n int) (results []op.Result, leader string, err error) {
	if len(b) == 0 {
		return nil, "", errAnswer
	}
	code, rest := b[0], b[1:]
	switch code {
	case endResults:
		results, err = readResults(rest, n)
		return results, "", err
	case endNotLeader:
		return nil, string(rest), partition.ErrNotLeader
	case endFull:
		return nil, "", partition.ErrFull
	case endStopped:
		return nil, "", partition.ErrNotLeader // another node will lead
	case endNoClock:
		return nil, "", partition.ErrNoClock
	case endUncertain:
		return nil, "", partition.ErrUncertain
	case endDamaged:
		return nil, "", fmt.Errorf("%w: %s", mvcc.ErrDamaged, rest)
	case endWaiters:
		return nil, "", partition.ErrWaiters
	case endDiskLow:
		return nil, "", errDiskLow
	}
	return nil, "", errAnswer
}

func readResults(b []byte, n int) ([]op.Result, error) {
	results := make([]op.Result, n)
	for i := range results {
		var err error
		if results[i], b, err = op.DecodeResult(b); err != nil {
			return nil, errAnswer
		}
	}
	if len(b) > 0 {
		return nil, errAnswer
	}
	return results, nil
}
