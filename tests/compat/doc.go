// Package compat connects what users connect: client libraries, as they are, to the real server.
//
// Those that can't be installed here are played from what they were seen to send (testdata/handshakes). redis-py runs when the
// machine has it (Debian: python3-redis); ioredis and node-redis when KAHUNA_NODE_MODULES names a node_modules directory that
// has them. The Go clients and lock libraries are a module of their own, in clients, so that the program's go.mod stays free of
// them.
package compat
