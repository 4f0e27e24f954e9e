package raftgroup

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// groupLog is the log store that Raft is given: the group's, with a look at configuration entries.
type groupLog struct {
	LogStore
	voters *voters
	stored func(data []byte) // may be nil
	stall  stall
}

func (l *groupLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *groupLog) StoreLogs(entries []*raft.Log) error {
	for _, e := range entries {
		if e.Type == raft.LogConfiguration {
			l.voters.entry(e)
		}
	}
	l.stall.begin()
	err := l.LogStore.StoreLogs(entries)
	l.stall.end()
	if l.stored != nil {
		for _, e := range entries {
			if e.Type == raft.LogCommand {
				l.stored(e.Data)
			}
		}
	}
	return err
}

// bounds are the first and the last index, 0 when the log is empty.
func (l *groupLog) bounds() (first, last uint64, err error) {
	if first, err = l.FirstIndex(); err == nil {
		last, err = l.LastIndex()
	}
	return first, last, err
}

// drop removes all entries. After a snapshot was installed the log must begin behind it, without a gap.
func (l *groupLog) drop() error {
	first, last, err := l.bounds()
	if err != nil || last == 0 {
		return err
	}
	return l.DeleteRange(first, last)
}

// currentTerm is 0 when there is none.
func (l *groupLog) currentTerm() (uint64, error) {
	term, err := l.GetUint64([]byte(keyCurrentTerm))
	if err != nil && err.Error() == "not found" { // the text that hashicorp/raft prescribes
		return 0, nil
	}
	return term, err
}

// keyCurrentTerm is the key under which hashicorp/raft keeps the term.
const keyCurrentTerm = "CurrentTerm"

// raiseTerm sets the term if it is lower.
func (l *groupLog) raiseTerm(to uint64) error {
	term, err := l.currentTerm()
	if err != nil || term >= to {
		return err
	}
	return l.SetUint64([]byte(keyCurrentTerm), to)
}

// bootstrap makes the first entry, a configuration. It does what raft.BootstrapCluster does, but the entry comes before the
// term, so that a crash in between leaves something that can be completed.
func (l *groupLog) bootstrap(c raft.Configuration) error {
	if err := l.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}); err != nil {
		return err
	}
	return l.raiseTerm(1)
}

func configurationOf(peers []Peer) (raft.Configuration, error) {
	var c raft.Configuration
	ids, votes := map[string]bool{}, 0
	for _, p := range peers {
		if p.ID == "" || p.Addr == "" || ids[p.ID] {
			return c, fmt.Errorf("peer %q at %q is incomplete or there twice", p.ID, p.Addr)
		}
		ids[p.ID] = true
		s := raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr), Suffrage: raft.Nonvoter}
		if p.Voter {
			s.Suffrage = raft.Voter
			votes++
		}
		c.Servers = append(c.Servers, s)
	}
	if votes == 0 {
		return c, fmt.Errorf("no voter among %d peers", len(peers))
	}
	return c, nil
}

func peersOf(c raft.Configuration) []Peer {
	peers := make([]Peer, len(c.Servers))
	for i, s := range c.Servers {
		peers[i] = Peer{ID: string(s.ID), Addr: string(s.Address), Voter: s.Suffrage == raft.Voter}
	}
	return peers
}
