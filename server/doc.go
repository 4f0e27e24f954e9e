// Package server takes connections, reads commands in the Redis protocol, hands them to sessions and writes the replies.
//
// One goroutine serves one connection. It reads, lets a guard find the complete commands among the bytes, hands them over
// as one batch, and writes the batch's replies with one system call:
//
//	loop:
//	    batch = guard.scan(buffered bytes)      every byte is judged once, limits before memory
//	    if none: read more, grow the buffer only when it is full
//	    session.Serve(batch)                    replies gather in a resp.Writer
//	    write replies, then out-of-band data that waited
//
// A second goroutine exists only while pushed data is being written: what blocks (ConnInfo.Suspend) leaves the connection's own.
//
// The guard stands before redcon's parser, which trusts declared lengths: it overflows on a huge one, spins on a huge
// count and knows no limits. redcon decodes only what the guard has found complete and within limits.
//
// No mutex is held across a read, a write or a wait, so the package runs under testing/synctest with connections that
// are pipes.
package server
