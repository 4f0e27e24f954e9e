package raftgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// marker says: every command at or below index is in the durable state, and this was the configuration. In the file it is
//
//	"KMRK" version(1) length(4) | index(8) term(8) configuration index(8) durable(8) configuration | crc32c(4)
//
// little endian; the length is that of the part between the bars, the checksum covers all in front of it.
type marker struct {
	index, term        uint64
	configurationIndex uint64
	durable            uint64 // what StateMachine.Durable returned: at least so much must be found again
	configuration      raft.Configuration
}

const (
	markerMagic       = "KMRK\x01"
	markerFixedBytes  = 4 * 8
	markerHeaderBytes = len(markerMagic) + 4
	markerMaxBytes    = 1 << 20
)

var checksums = crc32.MakeTable(crc32.Castagnoli)

func (m *marker) encode() []byte {
	configuration := raft.EncodeConfiguration(m.configuration)
	b := append(make([]byte, 0, 128+len(configuration)), markerMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(markerFixedBytes+len(configuration)))
	for _, n := range []uint64{m.index, m.term, m.configurationIndex, m.durable} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(b, configuration...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, checksums))
}

// decodeMarker decodes a marker from the start of b and returns how many bytes it has.
func decodeMarker(b []byte) (m *marker, n int, err error) {
	if len(b) < markerHeaderBytes || string(b[:len(markerMagic)]) != markerMagic {
		return nil, 0, fmt.Errorf("%w: not a marker of this version", ErrDamaged)
	}
	length := binary.LittleEndian.Uint32(b[len(markerMagic):])
	if length < markerFixedBytes || length > markerMaxBytes || len(b) < markerHeaderBytes+int(length)+4 {
		return nil, 0, fmt.Errorf("%w: marker is cut off", ErrDamaged)
	}
	end := markerHeaderBytes + int(length)
	if crc32.Checksum(b[:end], checksums) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, 0, fmt.Errorf("%w: marker's checksum", ErrDamaged)
	}
	b = b[markerHeaderBytes:end]
	m = &marker{index: binary.LittleEndian.Uint64(b), term: binary.LittleEndian.Uint64(b[8:]),
		configurationIndex: binary.LittleEndian.Uint64(b[16:]), durable: binary.LittleEndian.Uint64(b[24:])}
	m.configuration = raft.DecodeConfiguration(b[markerFixedBytes:])
	return m, end + 4, nil
}

// id names a snapshot for Raft.
func (m *marker) id() string { return fmt.Sprintf("%d-%d", m.term, m.index) }

func (m *marker) meta() *raft.SnapshotMeta {
	return &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, ID: m.id(), Index: m.index, Term: m.term,
		Configuration: m.configuration, ConfigurationIndex: m.configurationIndex}
}

// readMarker returns nil when there is none.
func readMarker(path string) (*marker, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, n, err := decodeMarker(b)
	if err == nil && n != len(b) {
		err = fmt.Errorf("%w: bytes behind the marker", ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// writeMarker replaces the marker; it is durable on return. After an error the old one is in place.
func writeMarker(path string, m *marker) error {
	tmp := path + tmpSuffix
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(m.encode())
	return publish(f, err, path)
}

const tmpSuffix = ".tmp"

// publish syncs and closes a new file named path plus tmpSuffix and gives it its name, unless err says that it is not complete.
func publish(f *os.File, err error, path string) error {
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// remove removes a file durably; that it is not there is not an error.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}
