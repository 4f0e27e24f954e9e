package partition

import (
	"io"

	"kahuna/fsm"
	"kahuna/raftgroup"
	"kahuna/storage"
)

// machineOf fits a state machine to what a Raft group needs.
type machineOf struct {
	*fsm.Machine
	store   *storage.Store
	fates   *fates
	members *members
	cfg     *Config
}

// members are those of the group as of the last entry, as the state machine knows them.
type members struct {
	peers []raftgroup.Peer // that they were made of
	all   []fsm.Member
	self  bool // this node is one of them
}

// of takes over the members of an entry; nearly always they are those of the one before.
func (m *members) of(node string, peers []raftgroup.Peer) {
	if len(peers) == len(m.peers) && (len(peers) == 0 || &peers[0] == &m.peers[0]) {
		return
	}
	*m = members{peers: peers}
	for _, p := range peers {
		m.all = append(m.all, fsm.Member{ID: p.ID, Voter: p.Voter})
		m.self = m.self || p.ID == node
	}
}

// Apply applies committed entries; each one's result is its []op.Result.
func (m machineOf) Apply(entries []raftgroup.Entry) ([]any, error) {
	batch := make([]fsm.LogEntry, len(entries))
	for i, e := range entries {
		m.members.of(m.cfg.Node, e.Members)
		batch[i] = fsm.LogEntry{Index: e.Index, Term: e.Term, Data: e.Data, Members: m.members.all, Member: m.members.self}
	}
	results, err := m.Machine.Apply(batch)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(results))
	for i := range results {
		out[i] = results[i]
		if results[i] != nil {
			m.fates.tell(fsm.FirstOf(entries[i].Data), results[i])
		}
	}
	return out, nil
}

// Durable makes everything applied so far survive a power cut.
func (m machineOf) Durable() (uint64, error) {
	var index uint64
	err := m.store.Checkpoint(func() { index = m.Applied() })
	return index, err
}

// Snapshot streams the partition's state.
func (m machineOf) Snapshot(w io.Writer) (uint64, error) { return m.Machine.Snapshot(w) }

// Restore replaces the partition's state by such a stream.
func (m machineOf) Restore(r io.Reader, _ uint64) error {
	err := m.Machine.Restore(r)
	if err == nil && m.cfg.OnRestored != nil {
		m.cfg.OnRestored()
	}
	return err
}
