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
	store *storage.Store
	fates *fates
}

// Apply applies committed entries; each one's result is its []op.Result.
func (m machineOf) Apply(entries []raftgroup.Entry) ([]any, error) {
	batch := make([]fsm.LogEntry, len(entries))
	for i, e := range entries {
		batch[i] = fsm.LogEntry{Index: e.Index, Term: e.Term, Data: e.Data}
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
func (m machineOf) Restore(r io.Reader, _ uint64) error { return m.Machine.Restore(r) }
