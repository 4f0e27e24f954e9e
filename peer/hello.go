package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// mode is how the nodes of a cluster prove that they belong to it.
type mode byte

const (
	modeOpen   mode = iota // not at all; on loopback only
	modeSecret             // by a shared secret
	modeTLS                // by certificates
)

func (m mode) String() string {
	switch m {
	case modeOpen:
		return "neither TLS nor a cluster secret"
	case modeSecret:
		return "a cluster secret"
	case modeTLS:
		return "TLS"
	default:
		return "an unknown kind of proof"
	}
}

// What a connection is for.
const (
	purposeCalls byte = iota + 1
	purposeStream
)

// The version of the protocol. A larger minor only adds what the other side may ignore.
const (
	versionMajor = 1
	versionMinor = 0
)

const (
	nonceBytes   = 32
	proofBytes   = 32
	messageMax   = 1024 // bytes of one message of the handshake
	messageBytes = 2    // of its length
	reasonMax    = 512  // bytes of a refusal's reason
)

// magic begins every connection. Its first byte is none that TLS, Redis or HTTP begin with.
var magic = [8]byte{0xf5, 'P', 'E', 'E', 'R', 0x0d, 0x0a, 0x00}

// The listener's messages.
const (
	answerRefusal byte = iota
	answerChallenge
	answerWelcome
)

var errHandshake = errors.New("peer: malformed handshake")

type version struct{ major, minor uint16 }

// hello is what the dialer says about itself.
type hello struct {
	version version
	mode    mode
	purpose byte
	nonce   [nonceBytes]byte
	who     identity
}

// identity is who is on the other side of a connection.
type identity struct{ cluster, node, addr string }

func (h hello) encode() []byte {
	b := binary.LittleEndian.AppendUint16(nil, h.version.major)
	b = binary.LittleEndian.AppendUint16(b, h.version.minor)
	b = append(b, byte(h.mode), h.purpose)
	b = append(b, h.nonce[:]...)
	return putString(putString(putString(b, h.who.cluster), h.who.node), h.who.addr)
}

// decodeHello leaves bytes behind the known fields alone: a newer minor version may put some there. Of a newer major version it
// reads the version only.
func decodeHello(b []byte) (hello, error) {
	d := fields{rest: b}
	h := hello{version: d.version()}
	if d.short || h.version.major != versionMajor {
		return h, d.err()
	}
	h.mode, h.purpose = mode(d.byte()), d.byte()
	copy(h.nonce[:], d.take(nonceBytes))
	h.who = identity{cluster: d.string(), node: d.string(), addr: d.string()}
	return h, d.err()
}

func putString(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// fields reads a message field by field. Once it was too short, all that follows is zero.
type fields struct {
	rest  []byte
	short bool
}

func (d *fields) take(n int) []byte {
	if n > len(d.rest) {
		d.short, d.rest = true, nil
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *fields) byte() byte     { return d.take(1)[0] }
func (d *fields) string() string { return string(d.take(int(d.byte()))) }
func (d *fields) version() version {
	return version{binary.LittleEndian.Uint16(d.take(2)), binary.LittleEndian.Uint16(d.take(2))}
}

func (d *fields) err() error {
	if d.short {
		return errHandshake
	}
	return nil
}

// writeMessage writes one message of the handshake, and in front of it what is in lead.
func writeMessage(w io.Writer, lead, message []byte) error {
	b := binary.LittleEndian.AppendUint16(append([]byte(nil), lead...), uint16(len(message)))
	_, err := w.Write(append(b, message...))
	return err
}

func readMessage(r io.Reader) ([]byte, error) {
	var length [messageBytes]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint16(length[:])
	if n == 0 || n > messageMax {
		return nil, fmt.Errorf("%w: a message of %d bytes, wanted are 1 to %d", errHandshake, n, messageMax)
	}
	b := make([]byte, n)
	return b, readWhole(r, b)
}
