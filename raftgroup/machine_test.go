package raftgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// memoryMachine is a state machine that appends each command to a list; a command's result is its place. The object stands for
// the disk: it survives when a group is closed. What was not made durable can be taken away (cutPower).
type memoryMachine struct {
	mu        sync.Mutex
	state     machineState
	disk      machineState
	applies   int
	restores  []uint64
	durables  int
	refuse    func(Entry) error // a fault for an entry
	durable   error             // what Durable fails with
	behind    uint64            // how many entries less than all Durable claims
	restoring error             // what Restore fails with, after half of the work
	gate      chan struct{}     // when set, Apply waits for it
	streaming func()            // called while Snapshot has written a part
}

type machineState struct {
	Index    uint64
	Commands []string
}

func (s machineState) clone() machineState {
	s.Commands = append([]string(nil), s.Commands...)
	return s
}

func (m *memoryMachine) Apply(entries []Entry) ([]any, error) {
	m.mu.Lock()
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	results := make([]any, len(entries))
	for i, e := range entries {
		if e.Index <= m.state.Index {
			return nil, fmt.Errorf("entry %d after %d", e.Index, m.state.Index)
		}
		if m.refuse != nil {
			if err := m.refuse(e); err != nil {
				return nil, err
			}
		}
		m.state.Commands = append(m.state.Commands, string(e.Data))
		m.state.Index = e.Index
		m.applies++
		results[i] = len(m.state.Commands)
	}
	return results, nil
}

func (m *memoryMachine) Applied() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Index
}

func (m *memoryMachine) Durable() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.durable != nil {
		return 0, m.durable
	}
	m.durables++
	m.disk = m.state.clone()
	return m.disk.Index - m.behind, nil
}

func (m *memoryMachine) Snapshot(w io.Writer) (uint64, error) {
	m.mu.Lock()
	s, streaming := m.state.clone(), m.streaming
	m.mu.Unlock()
	if streaming != nil {
		if _, err := w.Write([]byte(" ")); err != nil {
			return 0, err
		}
		streaming()
	}
	return s.Index, json.NewEncoder(w).Encode(s)
}

func (m *memoryMachine) Restore(r io.Reader, index uint64) error {
	var s machineState
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restores = append(m.restores, index)
	m.state = machineState{}
	if m.restoring != nil {
		return m.restoring
	}
	m.state = s
	return nil
}

func (m *memoryMachine) commands() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.state.Commands...)
}

func (m *memoryMachine) cutPower() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = m.disk.clone()
}

func (m *memoryMachine) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

var errTest = errors.New("test fault")
