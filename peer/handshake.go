package peer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// self is what a node brings to a handshake.
type self struct {
	identity
	mode   mode
	secret []byte
	random io.Reader // for nonces
}

func (n *Network) self() self {
	return self{
		identity: identity{cluster: n.cfg.ClusterID(), node: n.cfg.NodeID, addr: n.cfg.Advertise},
		mode:     n.mode, secret: n.cfg.Secret, random: rand.Reader,
	}
}

// prove returns a side's proof: it is over everything that went over the connection so far.
func (s self) prove(role string, transcript []byte) []byte {
	if s.mode != modeSecret {
		return nil
	}
	mac := hmac.New(sha256.New, s.secret)
	mac.Write(putString(nil, role))
	mac.Write(transcript)
	return mac.Sum(nil)
}

func (s self) proven(role string, transcript, proof []byte) bool {
	return hmac.Equal(proof, s.prove(role, transcript))
}

const (
	roleDialer   = "dialer"
	roleListener = "listener"
)

// greet is the dialer's side of the handshake. It returns who answered.
func (s self) greet(c io.ReadWriter, purpose byte) (identity, error) {
	h := hello{version: version{versionMajor, versionMinor}, mode: s.mode, purpose: purpose, who: s.identity}
	if _, err := io.ReadFull(s.random, h.nonce[:]); err != nil {
		return identity{}, err
	}
	transcript := h.encode()
	if err := writeMessage(c, magic[:], transcript); err != nil {
		return identity{}, err
	}
	challenge, err := readAnswer(c, answerChallenge)
	if err != nil {
		return identity{}, err
	}
	transcript = append(transcript, challenge...)
	if err := writeMessage(c, nil, s.proofMessage(roleDialer, transcript)); err != nil {
		return identity{}, err
	}
	welcome, err := readAnswer(c, answerWelcome)
	if err != nil {
		return identity{}, err
	}
	return s.believe(transcript, welcome)
}

// believe judges the listener's last message.
func (s self) believe(transcript, welcome []byte) (identity, error) {
	d := fields{rest: welcome[1:]}
	who := identity{cluster: d.string(), node: d.string()}
	if err := d.err(); err != nil {
		return who, err
	}
	said := welcome[:len(welcome)-len(d.rest)]
	if !s.proven(roleListener, slices.Concat(transcript, said), proofIn(d.rest)) {
		return who, fmt.Errorf("%w: the other node did not prove that it has the cluster secret", errHandshake)
	}
	if reason := s.mismatch(who); reason != "" {
		return who, fmt.Errorf("%w: %s", errHandshake, reason)
	}
	return who, nil
}

// proofMessage is a proof behind a byte, for no message is empty.
func (s self) proofMessage(role string, transcript []byte) []byte {
	return append([]byte{proofBytes}, s.prove(role, transcript)...)
}

// proofIn is the proof that a message ends with: nothing without a secret.
func proofIn(b []byte) []byte { return b[:min(len(b), proofBytes)] }

// receive is the listener's side. Whatever it refuses, it says why, unless the bytes make no sense at all.
func (s self) receive(c io.ReadWriter) (hello, error) {
	h, transcript, err := readHello(c)
	if err != nil {
		return h, err
	}
	if reason := s.unfit(h); reason != "" {
		return h, refuse(c, reason)
	}
	challenge := binary.LittleEndian.AppendUint16([]byte{answerChallenge}, versionMajor)
	challenge = binary.LittleEndian.AppendUint16(challenge, versionMinor)
	nonce := make([]byte, nonceBytes)
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return h, err
	}
	challenge = append(challenge, nonce...)
	if err := writeMessage(c, nil, challenge); err != nil {
		return h, err
	}
	proof, err := readMessage(c)
	if err != nil {
		return h, err
	}
	transcript = append(transcript, challenge...)
	if !s.proven(roleDialer, transcript, proofIn(proof[1:])) {
		return h, refuse(c, "wrong cluster secret")
	}
	if reason := s.mismatch(h.who); reason != "" {
		return h, refuse(c, reason)
	}
	return h, s.welcome(c, transcript)
}

func (s self) welcome(c io.Writer, transcript []byte) error {
	said := putString(putString([]byte{answerWelcome}, s.cluster), s.node)
	return writeMessage(c, nil, append(said, s.prove(roleListener, slices.Concat(transcript, said))...))
}

// unfit is why a dialer is refused before it has proved anything.
func (s self) unfit(h hello) string {
	switch {
	case h.version.major > versionMajor:
		return fmt.Sprintf("protocol version %d is newer than this node's %d", h.version.major, versionMajor)
	case h.version.major < versionMajor:
		return fmt.Sprintf("protocol version %d is too old, this node speaks %d", h.version.major, versionMajor)
	case h.mode != s.mode:
		return fmt.Sprintf("this node uses %s, the dialing node %s", s.mode, h.mode)
	case h.purpose != purposeCalls && h.purpose != purposeStream:
		return "unknown purpose of the connection"
	}
	return ""
}

// mismatch is why a node is refused that belongs to somebody. An empty cluster id is one of a node that is about to join.
func (s self) mismatch(who identity) string {
	switch {
	case s.cluster != "" && who.cluster != "" && s.cluster != who.cluster:
		return "the nodes belong to different clusters"
	case who.node == "":
		return "no node id"
	case who.node == s.node:
		return "both nodes have the same id"
	}
	return ""
}

func readHello(r io.Reader) (h hello, message []byte, err error) {
	var begin [len(magic)]byte
	if _, err := io.ReadFull(r, begin[:]); err != nil {
		return h, nil, err
	}
	switch {
	case begin[0] == 0x16 && begin[1] == 0x03:
		return h, nil, fmt.Errorf("%w: the other side speaks TLS, this node uses none", errHandshake)
	case begin != magic:
		return h, nil, fmt.Errorf("%w: it does not begin as one of a node", errHandshake)
	}
	if message, err = readMessage(r); err != nil {
		return h, nil, err
	}
	h, err = decodeHello(message)
	return h, message, err
}

// readAnswer reads the listener's next message. ErrRefused: it was a refusal.
func readAnswer(r io.Reader, want byte) ([]byte, error) {
	b, err := readMessage(r)
	switch {
	case err != nil:
		return nil, err
	case b[0] == answerRefusal:
		return nil, ErrRefused{Reason: strings.ToValidUTF8(string(b[1:min(len(b), 1+reasonMax)]), "?")}
	case b[0] != want:
		return nil, errHandshake
	}
	return b, nil
}

// refuse tells the dialer a reason and returns it as an error.
func refuse(w io.Writer, reason string) error {
	if err := writeMessage(w, nil, append([]byte{answerRefusal}, reason...)); err != nil {
		return fmt.Errorf("refused: %s; and it was not told: %w", reason, err)
	}
	return fmt.Errorf("refused: %s", reason)
}
