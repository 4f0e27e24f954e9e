// Package placement is what a cluster agrees on about itself: which nodes there are, which ranges of the space are partitions,
// and which nodes have replicas of each. A State is one document in the meta group. It is only ever replaced as a whole, by a
// compare-and-set on the version that the meta group keeps beside it; a State that others may see is never changed in place.
//
// Plan decides what is to change (who replaces a dead replica, where leaders should be), Reconcile what the leader of a group
// does next to bring the group to what the State wants. Both are pure: no clock, no randomness, no network. What they know of
// the world comes with their arguments, as Reports or as Members, and times in those are ages.
//
// # Invariants
//
//   - The ranges tile the space: the first begins at its start, each begins where the one before it ends, the last has no end.
//   - A partition's id is never used twice: each is below NextID, which only rises.
//   - Range.Replicas is what is wanted. What is, is the group's Raft configuration, which follows: replicas are added first and
//     removed last. While the two differ the range is in flight, and Plan leaves it alone unless a wanted node has failed too.
//   - Range.Born is there only until Replicas changes for the first time, which is planned only once the group has a leader. So
//     nobody can make a second group out of the first members later on.
//   - A node that has left stays as a tombstone with its id, so that it can be told so when it comes back. It is in no group.
package placement
