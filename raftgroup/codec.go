package raftgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Requests: kind (1 byte), group (4 bytes, little endian), then the fields of the Raft message in the order of their declaration;
// numbers are uvarints, byte strings have a uvarint length in front. A snapshot is sent as a stream (see stream.go). The kinds are
// append-only.
const (
	kindAppend     byte = 0x01
	kindVote       byte = 0x02
	kindPreVote    byte = 0x03
	kindTimeoutNow byte = 0x04
	kindInstall    byte = 0x05 // Stream only
	kindConfirm    byte = 0x06 // no group: a list of group (4 bytes), term (8 bytes)
	kindBeat       byte = 0x07 // no group: the sender's header, then such a list: heartbeats
)

// Responses: one byte that says which of both it is, then the text of the error, or the fields.
const (
	statusOK    byte = 0
	statusError byte = 1
)

const (
	requestHeaderBytes = 5
	termQueryBytes     = 12
	termQueriesMax     = 1 << 16
	minEntryBytes      = 6 // of an encoded entry; bounds what a declared number of entries may allocate
)

var (
	errMalformed = errors.New("raftgroup: malformed message")
	// ErrRemote: the other node received the request and answered with an error, whose text follows.
	ErrRemote = errors.New("raftgroup: remote")
)

// decoder takes fields off a message. After the first one that does not fit, bad is set and all others are empty. Byte strings
// are parts of the message, not copies.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.fail()
	}
	return b == 1
}

func (d *decoder) fixed64() uint64 {
	if len(d.rest) < 8 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

// bytes returns nil for an empty string.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail()
	}
	if d.bad || n == 0 {
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// end is the error of the whole message: bytes that are left over do not fit either.
func (d *decoder) end() error {
	if d.bad || len(d.rest) > 0 {
		return errMalformed
	}
	return nil
}

func putBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func putBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func putRequest(b []byte, kind byte, group uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(b, kind), group)
}

// splitRequest takes the kind and the group off a request.
func splitRequest(b []byte) (kind byte, group uint32, payload []byte, err error) {
	if len(b) < requestHeaderBytes {
		return 0, 0, nil, errMalformed
	}
	return b[0], binary.LittleEndian.Uint32(b[1:]), b[requestHeaderBytes:], nil
}

func putHeader(b []byte, h raft.RPCHeader) []byte {
	b = append(b, byte(h.ProtocolVersion))
	return putBytes(putBytes(b, h.ID), h.Addr)
}

func (d *decoder) header() (h raft.RPCHeader) {
	h.ProtocolVersion = raft.ProtocolVersion(d.byte())
	h.ID = d.bytes()
	h.Addr = d.bytes()
	return h
}

// encodeRequest appends the payload of a Raft request. The deprecated fields Leader, Candidate and Peers are not sent: Raft uses the
// header when it has one, and this transport's senders always do.
func encodeRequest(b []byte, command any) []byte {
	switch m := command.(type) {
	case *raft.AppendEntriesRequest:
		return encodeAppend(b, m)
	case *raft.RequestVoteRequest:
		b = putHeader(b, m.RPCHeader)
		b = putNumbers(b, m.Term, m.LastLogIndex, m.LastLogTerm)
		return putBool(b, m.LeadershipTransfer)
	case *raft.RequestPreVoteRequest:
		b = putHeader(b, m.RPCHeader)
		return putNumbers(b, m.Term, m.LastLogIndex, m.LastLogTerm)
	case *raft.TimeoutNowRequest:
		return putHeader(b, m.RPCHeader)
	case *raft.InstallSnapshotRequest:
		b = putHeader(b, m.RPCHeader)
		b = append(b, byte(m.SnapshotVersion))
		b = putNumbers(b, m.Term, m.LastLogIndex, m.LastLogTerm)
		return putNumbers(putBytes(b, m.Configuration), m.ConfigurationIndex)
	default:
		panic(fmt.Sprintf("raftgroup: no encoding of %T", command))
	}
}

func putNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func encodeAppend(b []byte, m *raft.AppendEntriesRequest) []byte {
	b = putHeader(b, m.RPCHeader)
	b = putNumbers(b, m.Term, m.PrevLogEntry, m.PrevLogTerm, m.LeaderCommitIndex, uint64(len(m.Entries)))
	for _, e := range m.Entries {
		b = encodeEntry(b, e)
	}
	return b
}

func encodeEntry(b []byte, e *raft.Log) []byte {
	b = putNumbers(b, e.Index, e.Term)
	b = append(b, byte(e.Type))
	b = putBytes(putBytes(b, e.Data), e.Extensions)
	if e.AppendedAt.IsZero() {
		return append(b, 0)
	}
	return binary.LittleEndian.AppendUint64(append(b, 1), uint64(e.AppendedAt.UnixNano()))
}

func (d *decoder) entry(e *raft.Log) {
	e.Index, e.Term = d.uint(), d.uint()
	e.Type = raft.LogType(d.byte())
	e.Data, e.Extensions = d.bytes(), d.bytes()
	if d.bool() {
		e.AppendedAt = time.Unix(0, int64(d.fixed64()))
	}
}

// decodeRequest returns the Raft request of that kind. Its byte strings are parts of b.
func decodeRequest(kind byte, b []byte) (any, error) {
	d := &decoder{rest: b}
	var command any
	switch kind {
	case kindAppend:
		command = d.appendEntries()
	case kindVote:
		m := &raft.RequestVoteRequest{RPCHeader: d.header()}
		m.Term, m.LastLogIndex, m.LastLogTerm = d.uint(), d.uint(), d.uint()
		m.LeadershipTransfer = d.bool()
		command = m
	case kindPreVote:
		m := &raft.RequestPreVoteRequest{RPCHeader: d.header()}
		m.Term, m.LastLogIndex, m.LastLogTerm = d.uint(), d.uint(), d.uint()
		command = m
	case kindTimeoutNow:
		command = &raft.TimeoutNowRequest{RPCHeader: d.header()}
	case kindInstall:
		command = d.install()
	default:
		return nil, fmt.Errorf("%w: kind %#x", errMalformed, kind)
	}
	return command, d.end()
}

// appendEntries accepts only entries that follow one another and the previous entry, as all that Raft sends do; the guard counts on it.
func (d *decoder) appendEntries() *raft.AppendEntriesRequest {
	m := &raft.AppendEntriesRequest{RPCHeader: d.header()}
	m.Term, m.PrevLogEntry, m.PrevLogTerm, m.LeaderCommitIndex = d.uint(), d.uint(), d.uint(), d.uint()
	n := d.uint()
	if n > uint64(len(d.rest)/minEntryBytes) {
		d.fail()
	}
	if d.bad || n == 0 {
		return m
	}
	entries := make([]raft.Log, n)
	m.Entries = make([]*raft.Log, n)
	index := m.PrevLogEntry
	for i := range entries {
		d.entry(&entries[i])
		if index++; entries[i].Index != index || index == 0 || !validEntry(&entries[i]) {
			d.fail()
			return m
		}
		m.Entries[i] = &entries[i]
	}
	return m
}

func validEntry(e *raft.Log) bool {
	switch e.Type {
	case raft.LogCommand, raft.LogNoop, raft.LogBarrier:
		return true
	case raft.LogConfiguration:
		return validConfiguration(e.Data)
	default:
		return false
	}
}

func (d *decoder) install() *raft.InstallSnapshotRequest {
	m := &raft.InstallSnapshotRequest{RPCHeader: d.header()}
	m.SnapshotVersion = raft.SnapshotVersion(d.byte())
	m.Term, m.LastLogIndex, m.LastLogTerm = d.uint(), d.uint(), d.uint()
	m.Configuration, m.ConfigurationIndex = d.bytes(), d.uint()
	if !d.bad && !validConfiguration(m.Configuration) {
		d.fail()
	}
	return m
}

// validConfiguration tells whether Raft can decode it: raft.DecodeConfiguration panics when it cannot.
func validConfiguration(b []byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	raft.DecodeConfiguration(b)
	return true
}

func encodeError(err error) []byte {
	return append([]byte{statusError}, err.Error()...)
}

// encodeResponse encodes what Raft answered. Headers are left out: Raft does not look at those of responses.
func encodeResponse(r raft.RPCResponse) []byte {
	if r.Error != nil {
		return encodeError(r.Error)
	}
	b := []byte{statusOK}
	switch m := r.Response.(type) {
	case *raft.AppendEntriesResponse:
		b = putNumbers(b, m.Term, m.LastLog)
		return putBool(putBool(b, m.Success), m.NoRetryBackoff)
	case *raft.RequestVoteResponse:
		return putBool(putNumbers(b, m.Term), m.Granted)
	case *raft.RequestPreVoteResponse:
		return putBool(putNumbers(b, m.Term), m.Granted)
	case *raft.InstallSnapshotResponse:
		return putBool(putNumbers(b, m.Term), m.Success)
	case *raft.TimeoutNowResponse:
		return b
	default:
		return encodeError(fmt.Errorf("raftgroup: no encoding of %T", r.Response))
	}
}

// responseBody takes the status off a response; an error of the other node is ErrRemote with its text.
func responseBody(b []byte) ([]byte, error) {
	switch {
	case len(b) > 0 && b[0] == statusOK:
		return b[1:], nil
	case len(b) > 0 && b[0] == statusError:
		return nil, fmt.Errorf("%w: %s", ErrRemote, b[1:])
	default:
		return nil, errMalformed
	}
}

// decodeResponse fills in out. When it fails, out is not to be used.
func decodeResponse(b []byte, out any) error {
	body, err := responseBody(b)
	if err != nil {
		return err
	}
	d := &decoder{rest: body}
	switch m := out.(type) {
	case *raft.AppendEntriesResponse:
		m.Term, m.LastLog = d.uint(), d.uint()
		m.Success, m.NoRetryBackoff = d.bool(), d.bool()
	case *raft.RequestVoteResponse:
		m.Term, m.Granted = d.uint(), d.bool()
	case *raft.RequestPreVoteResponse:
		m.Term, m.Granted = d.uint(), d.bool()
	case *raft.InstallSnapshotResponse:
		m.Term, m.Success = d.uint(), d.bool()
	case *raft.TimeoutNowResponse:
	default:
		return fmt.Errorf("raftgroup: no decoding of %T", out)
	}
	return d.end()
}
