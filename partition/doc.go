// Package partition is one partition's replica on this node, above its Raft group and its state machine: what the leader does
// to writes before they are in the log, and to reads before they see the store.
//
// What holds while a replica leads (its leadership is proven by the group for each read, never assumed):
//
//  1. Every operation's timestamp is above every timestamp at which a read was served here (floor). A new leader's floor starts
//     at a fresh timestamp.
//  2. A read at S sees every write with a timestamp at or below S: the floor is raised first, then the entries that are in
//     flight are waited for, then leadership is confirmed.
//  3. The operations of one unit enter the log together and in order, or not at all; when one bounces, those after it do too.
//  4. A write ends in exactly one way: its results, ErrNotLeader or ErrFull or ErrStopped (it is certainly not in the log), or
//     ErrUncertain.
//  5. A lock's lease is ended only by an entry that names the grant it ends, proposed by the leader after the lease's whole
//     length has passed on its monotonic clock since it learned of the grant. So a change of leader, a pause or a jump of a
//     clock can lengthen a lease, never shorten it.
//  6. Who waits for a lock gets it in the order of arrival (waiters.go). Losing the line with the leader loses no lock and grants
//     none: it is advice on what to propose.
package partition
