package mvcc

import "kahuna/op"

// Type is what kind of value a key holds.
type Type byte

// The numbers are stored: append only.
const (
	TypeString Type = 1 // also locks, sequences and idempotency records, whose spaces say what they are
	TypeHash   Type = 2 // its form is that of package hashes
)

// Record is one version of a name.
type Record struct {
	TS       op.Timestamp // when it was written
	Rev      uint64       // counts the writes of the name, from 1
	Type     Type
	Deleted  bool
	NoRev    bool         // leaves only its head in the history
	ExpireAt op.Timestamp // 0: never. Not there at and after this
	Value    []byte
}

// View is the state of names as one operation sees it and changes it. locks, sequencer and keys are written against it, and
// so run the same in a log entry, in a Multi, and on a transaction's working set.
//
// Any error ends the operation: *IntentError bounces it, everything else is a fault. What was put is then dropped as a whole.
// The Value of a Record that Get returns is not to be changed, and stays valid until the operation ends.
type View interface {
	// Now is the operation's timestamp: larger than that of every version it can see. A version whose ExpireAt is at or
	// below it is not there.
	Now() op.Timestamp
	// Get is the live version of a name. For a name that is absent it returns false with a Record that has only Rev: the
	// revision to go on counting from.
	Get(n op.Name) (Record, bool, error)
	// Put writes a new version: Value, Type, ExpireAt and NoRev are the caller's, the rest is filled in.
	Put(n op.Name, r Record) (Record, error)
	// PutExpiry changes the expiry of the live version without making a revision.
	PutExpiry(n op.Name, at op.Timestamp) error
	// Delete leaves a deletion, with a revision of its own, which it returns.
	Delete(n op.Name) (rev uint64, err error)
}

// IntentError says that an operation met another transaction's intent, which must be settled first.
type IntentError struct{ Intent op.Intent }

func (e *IntentError) Error() string { return "another transaction's intent is in the way" }
