// Package pubsub is who listens to what on one node: the subscriptions of its clients to channels, patterns and shard channels.
//
// A message is delivered at most once, to those who are subscribed at that moment. Messages that one caller publishes one after
// the other arrive at each subscriber in that order. Deliver functions run inside Publish, under the hub's lock, so they must not
// wait and must not call into the hub; in return no delivery to a subscription is under way once Unsubscribe has returned.
//
// The hub knows one node only. Forward hands each message that was published here to the other nodes, which give it to Local.
package pubsub
