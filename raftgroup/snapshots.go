package raftgroup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

const (
	markerName = "marker"
	spoolName  = "install"
)

// snapshots is the snapshot store that Raft is given. It holds one marker and, while a snapshot is being installed, a spool.
type snapshots struct {
	dir     string
	machine StateMachine
	admit   func(io.Reader) error // may be nil
	current atomic.Pointer[marker]

	writing sync.Mutex     // held while the marker is replaced
	streams sync.WaitGroup // goroutines that feed a stream
}

// openSnapshots reads the marker. What was not complete is removed.
func openSnapshots(dir string, machine StateMachine, admit func(io.Reader) error) (*snapshots, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	s := &snapshots{dir: dir, machine: machine, admit: admit}
	for _, path := range []string{s.markerPath(), s.spoolPath()} {
		if err := remove(path + tmpSuffix); err != nil {
			return nil, err
		}
	}
	m, err := readMarker(s.markerPath())
	if m != nil {
		s.current.Store(m)
	}
	return s, err
}

func (s *snapshots) markerPath() string { return filepath.Join(s.dir, markerName) }
func (s *snapshots) spoolPath() string  { return filepath.Join(s.dir, spoolName) }

// index is the marker's, 0 when there is none.
func (s *snapshots) index() uint64 {
	if m := s.current.Load(); m != nil {
		return m.index
	}
	return 0
}

// set replaces the marker, never by an older one: a snapshot that was begun before another was installed is late.
func (s *snapshots) set(m *marker) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if old := s.current.Load(); old != nil && old.index > m.index {
		return fmt.Errorf("%w: marker at %d is newer than %d", ErrNothingToCompact, old.index, m.index)
	}
	if err := writeMarker(s.markerPath(), m); err != nil {
		return err
	}
	s.current.Store(m)
	return nil
}

// Create begins either a marker (machineSnapshot.Persist) or, when the stream is written to it, a spool.
func (s *snapshots) Create(_ raft.SnapshotVersion, index, term uint64, c raft.Configuration, configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &sink{snapshots: s, marker: &marker{index: index, term: term, configuration: c, configurationIndex: configurationIndex}}, nil
}

// List gives the marker, if there is one.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	m := s.current.Load()
	if m == nil {
		return nil, nil
	}
	return []*raft.SnapshotMeta{m.meta()}, nil
}

// Open gives the state as a stream, which begins to flow when it is read, with the marker of now: that it may be a later one than
// was listed does no harm. A spool is restored from its file, and gives nothing here.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if strings.HasPrefix(id, installPrefix) {
		return &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, ID: id}, io.NopCloser(eof{}), nil
	}
	m := s.current.Load()
	if m == nil {
		return nil, nil, errors.New("raftgroup: there is no marker")
	}
	return m.meta(), &stream{snapshots: s}, nil
}

// installPrefix begins the ids of snapshots that were received.
const installPrefix = "install-"

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// stream is the state machine's snapshot, made while it is read, by one goroutine.
type stream struct {
	snapshots *snapshots
	pipe      *io.PipeReader
}

func (t *stream) Read(b []byte) (int, error) {
	if t.pipe == nil {
		r, w := io.Pipe()
		t.pipe = r
		t.snapshots.streams.Go(func() { w.CloseWithError(t.produce(w)) })
	}
	return t.pipe.Read(b)
}

func (t *stream) produce(w io.Writer) error {
	_, err := t.snapshots.machine.Snapshot(w)
	return err
}

func (t *stream) Close() error {
	if t.pipe != nil {
		return t.pipe.Close()
	}
	return nil
}

// sink is where Raft writes a snapshot to.
type sink struct {
	snapshots *snapshots
	marker    *marker
	spool     *spoolWriter
	done      bool
}

func (k *sink) ID() string {
	if k.spool != nil {
		return installPrefix + k.marker.id()
	}
	return k.marker.id()
}

// mark makes a marker of it.
func (k *sink) mark(durable uint64) error {
	k.done = true
	k.marker.durable = durable
	return k.snapshots.set(k.marker)
}

func (k *sink) Write(b []byte) (int, error) {
	if err := k.open(); err != nil {
		return 0, err
	}
	return k.spool.Write(b)
}

func (k *sink) open() (err error) {
	if k.done {
		return errors.New("raftgroup: snapshot is closed")
	}
	if k.spool == nil {
		k.spool, err = createSpool(k.snapshots.spoolPath(), k.marker)
	}
	return err
}

func (k *sink) Close() error {
	if k.done {
		return nil
	}
	if err := k.open(); err != nil {
		return err
	}
	k.done = true
	return k.spool.finish(k.snapshots.admit)
}

func (k *sink) Cancel() error {
	if k.spool != nil && !k.done {
		k.spool.cancel()
	}
	k.done = true
	return nil
}
