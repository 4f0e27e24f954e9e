package pubsub

import (
	"encoding/binary"
	"errors"
)

var errMalformed = errors.New("pubsub: the messages can't be read")

// appendMessage appends a message as it travels between nodes: 1 for a shard channel, else 0, and two byte strings behind their
// lengths.
func appendMessage(dst []byte, m *Message) []byte {
	var shard byte
	if m.Shard {
		shard = 1
	}
	dst = append(dst, shard)
	dst = append(binary.AppendUvarint(dst, uint64(len(m.Channel))), m.Channel...)
	return append(binary.AppendUvarint(dst, uint64(len(m.Payload))), m.Payload...)
}

// Receive delivers messages that another node's Relay has sent.
func (h *Hub) Receive(body []byte) error {
	for len(body) > 0 {
		m, rest, err := takeMessage(body)
		if err != nil {
			return err
		}
		h.Local(m)
		body = rest
	}
	return nil
}

func takeMessage(b []byte) (m Message, rest []byte, err error) {
	if b[0] > 1 {
		return m, nil, errMalformed
	}
	m.Shard = b[0] == 1
	if m.Channel, b, err = takeBytes(b[1:]); err != nil {
		return m, nil, err
	}
	m.Payload, b, err = takeBytes(b)
	return m, b, err
}

func takeBytes(b []byte) (value, rest []byte, err error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, errMalformed
	}
	b = b[used:]
	return b[:n:n], b[n:], nil
}

// countMessages counts messages that appendMessage wrote.
func countMessages(body []byte) (n int) {
	for len(body) > 0 {
		_, rest, err := takeMessage(body)
		if err != nil {
			return n
		}
		n, body = n+1, rest
	}
	return n
}
