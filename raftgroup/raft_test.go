package raftgroup

import (
	"io"

	"github.com/hashicorp/raft"
)

// timeoutNow is a leader's request to stand for election.
func timeoutNow(from *node) *raft.TimeoutNowRequest {
	return &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from.id), Addr: []byte(from.id)}}
}

func testConfiguration() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "addr-a"}}}
}

// installOn sends a snapshot to a node, as a leader would.
func installOn(from, to *node, meta *raft.SnapshotMeta, data io.Reader) error {
	req := &raft.InstallSnapshotRequest{RPCHeader: timeoutNow(from).RPCHeader, SnapshotVersion: 1, Term: from.group.Term(),
		LastLogIndex: meta.Index, LastLogTerm: meta.Term, Configuration: raft.EncodeConfiguration(meta.Configuration),
		ConfigurationIndex: meta.ConfigurationIndex}
	var resp raft.InstallSnapshotResponse
	err := from.group.instance.Load().transport.InstallSnapshot("", raft.ServerAddress(to.id), req, &resp, data)
	if err == nil && !resp.Success {
		err = errTest
	}
	return err
}
