// Package peer carries everything that goes between the nodes of a cluster over TCP: it implements raftgroup.Network.
//
// A node has one listener. To each node that it calls it keeps one connection, on which all calls go side by side: a request has an
// id, the answer bears the same id, and answers come in any order. A stream (a snapshot) has a connection of its own, so that its
// bytes hold nobody up. Connections are one-sided: who dialed, asks.
//
// # Handshake
//
// Nothing of a connection is taken for a message before both sides have proved that they belong together (handshake.go). All
// integers are little endian; len8 is a string behind its length in one byte.
//
//	dialer                                                listener
//	magic (8), length (2), hello        ------------->
//	  major (2), minor (2), mode (1), purpose (1),
//	  nonce (32), cluster len8, node len8, address len8
//	                                    <-------------    length (2), 1, major (2), minor (2), nonce (32)
//	length (2), 32, proof (0 or 32)     ------------->
//	                                    <-------------    length (2), 2, cluster len8, node len8, proof (0 or 32)
//
// In place of either answer the listener may send a refusal: length (2), 0, reason. A proof is HMAC-SHA256 with the cluster's secret
// over the role of its side, the hello, the challenge and, from the listener, the rest of its last message; so over both nonces, both
// cluster ids and both node ids. The dialer proves
// itself first: the listener says nothing about itself to strangers. With TLS, the handshake goes inside TLS, both certificates are
// the proof, and the HMACs are left out. With a secret alone nothing is encrypted, and bytes changed on the way after the handshake
// are found by checksums only, which keep out accidents, not attackers: it is for networks that are trusted.
//
// # Frames
//
//	length (4) of what follows, kind (1), id (8), payload, CRC-32C (4) of all before it
//
//	kind      from      payload
//	request   dialer    milliseconds until the deadline (4, 0: none), request
//	response  listener  status (1), response or the error's text
//	cancel    dialer    -; nobody waits for the request of this id any more
//	data      dialer    bytes of a stream
//	end       dialer    number of all bytes of the stream (8)
//	abort     dialer    the error's text
//	alive     listener  -; a stream is still being handled
//
// A frame that breaks these rules ends its connection.
package peer
