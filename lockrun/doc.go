// Package lockrun runs a command while locks are held, which is `kahuna lock`.
//
// Invariant: the command runs only while the locks are this owner's, as far as a client alone can see to that. A lease is
// counted on this process's monotonic clock from before the request was sent that started it, so it ends here no later than on
// the server. It is renewed at a third of its length; a command whose lease could not be renewed is killed, with all that it
// started, before it ends. What no client can see to is a process that is itself paused beyond its lease, as a whole machine
// may be: for that the command has the fencing token.
//
// Every request names the same owner, so each may be repeated when its end is not known: who holds the lock already keeps it.
//
// Several locks are taken all or nothing: first all in one transaction; if one of them is not free, what was had is given back,
// and, when waiting is wanted, they are waited for one after the other in the order of their names. As all wait in that one
// order nobody waits in a circle, and each single queue is fair. What is held meanwhile is renewed by a second connection.
package lockrun

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Lock is what is to be held.
type Lock struct {
	Names   []string      // at least one, none twice
	Owner   string        // who holds them; nobody else may use the same
	TTL     time.Duration // length of a lease, at least TTLMin
	Wait    time.Duration // how long to wait for locks that others hold; 0: try once
	Shared  bool          // with other shared holders
	Permits int           // one of so many; 0: exclusive
}

// TTLMin is the shortest lease that leaves time to renew it.
const TTLMin = 500 * time.Millisecond

// HeldError says that locks are held by others.
type HeldError struct {
	Names []string
	Wait  time.Duration // how long they were waited for
}

func (e *HeldError) Error() string {
	if e.Wait > 0 {
		return fmt.Sprintf("%s: still held by another owner after %v", strings.Join(e.Names, ", "), e.Wait)
	}
	return fmt.Sprintf("%s: held by another owner (wait with --wait)", strings.Join(e.Names, ", "))
}

// LostError says that a lock was lost and the command was stopped.
type LostError struct{ Why error }

func (e *LostError) Error() string { return "the command was stopped: " + e.Why.Error() }
func (e *LostError) Unwrap() error { return e.Why }

// errTaken is why a lock is lost when the server says that its owner does not hold it.
var errTaken = errors.New("the lock was taken away from its owner")
