package raftgroup

import "github.com/hashicorp/raft"

// timeoutNow is a leader's request to stand for election.
func timeoutNow(from *node) *raft.TimeoutNowRequest {
	return &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.id), Addr: []byte(from.id)}}
}
