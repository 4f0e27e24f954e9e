package op

// Status says how an operation ended. The numbers travel between nodes: append only. OK, and everything from WrongType on,
// is an outcome: the operation was judged, in its place in the log. Moved, Blocked and Again are bounces: it was not judged
// and changed nothing, and is to be sent again. A transport error (the end is not known) is no Status but a Go error.
type Status byte

const (
	OK Status = 0

	Moved   Status = 1 // the partition does not own the name (any more)
	Blocked Status = 2 // Intent: another transaction's intent is on a name; settle it first
	Again   Status = 3 // the entry's checks were made in another term, or an earlier operation of the same unit bounced

	WrongType      Status = 16
	NotInteger     Status = 17
	NotFloat       Status = 18
	Overflow       Status = 19
	NotFinite      Status = 20
	TooLarge       Status = 21
	Exists         Status = 22
	NotFound       Status = 23
	Exhausted      Status = 24
	IdemMismatch   Status = 25
	WrongDirection Status = 26
	OutOfBounds    Status = 27
	Mismatch       Status = 28 // another number of permits
	Collected      Status = 29 // the version asked for is not kept any more
	Conflict       Status = 30 // a transaction lost
	Aborted        Status = 31 // the transaction was ended as aborted
	BadSettings    Status = 32
	Unsupported    Status = 33 // the operation can't run where it was put (a History inside a Multi)
)

// Unknown: the operation came under a number that is too old, and was not run now; whether it was before is not known any more.
const Unknown Status = 34

// Bounce tells whether the operation was not judged and is to be sent again.
func (s Status) Bounce() bool { return s >= Moved && s <= Again }

// Result is what an operation answers. Which fields mean something stands at the operation.
type Result struct {
	Status   Status
	Done     bool
	Found    bool
	Int      int64
	Last     int64
	Step     int64
	Rev      uint64
	TS       Timestamp
	ExpireAt Timestamp
	Value    []byte
	Items    []Item
	Next     *Position // where a Scan or DeleteRange goes on; nil: it is complete
	Sub      []Result
	Lock     *LockState
	Seq      *SeqState
	Intent   *Intent
	Txn      *TxnState
}

// Item is one name of a scan, or one version of a history.
type Item struct {
	Key      []byte
	Value    []byte
	Rev      uint64
	TS       Timestamp
	ExpireAt Timestamp
	Deleted  bool
	Lost     bool // its value was not kept (NOREV)
	Type     byte // of the value, as mvcc numbers them; 0 for a string
}

// Hold is one holder of a lock.
type Hold struct {
	Owner    []byte
	Token    Timestamp // the fencing token: the timestamp of the grant
	Granted  Timestamp // of the last grant or extension
	TTLMilli int64
}

// LockState is a held lock.
type LockState struct {
	Shared  bool
	Permits uint32
	Holds   []Hold
}

// SeqState is a sequence.
type SeqState struct {
	SeqSettings
	Last    int64 // the last value given out; meaningless before the first
	Started bool  // a value was given out, or set
	Created Timestamp
}

// Intent points from a name that a transaction has written to the transaction's record.
type Intent struct {
	Txn        TxnID
	Home       Name
	Name       Name      // the name it was met at
	Prewritten Timestamp // of the entry that laid it; the commit timestamp is larger
}

// TxnStatus is what a transaction's record says.
type TxnStatus byte

const (
	TxnPending   TxnStatus = 1
	TxnCommitted TxnStatus = 2
	TxnAborted   TxnStatus = 3
)

// TxnState is a transaction's record.
type TxnState struct {
	Status   TxnStatus
	At       Timestamp // committed: when
	Deadline Timestamp
	Names    []Name
}

// Outcome is what became of one operation: a Result (an outcome, never a bounce), or the error of not having one.
type Outcome struct {
	Result
	Err error
}
