// Package op is what can be asked of a partition and what comes back, with its binary form. It is a leaf: it knows
// neither storage nor network.
//
// An Op is a value that is put into a partition's log (a write) or run against a snapshot of it (a read). The same Op runs
// in three places with one implementation: in a log entry of its own, inside a Multi (EXEC on one partition), and on a
// transaction's working set. See docs/ARCHITECTURE.md.
//
// Slices in an Op are owned by it from the moment it is handed over; nobody changes them afterwards.
package op

// Kind numbers the operations. The numbers are in logs on disk: append only, never reuse.
type Kind byte

const (
	KindSet         Kind = 1
	KindDelete      Kind = 2
	KindExpire      Kind = 3
	KindIncr        Kind = 4
	KindIncrFloat   Kind = 5
	KindAppend      Kind = 6
	KindSetRange    Kind = 7
	KindGet         Kind = 8
	KindHistory     Kind = 9
	KindLock        Kind = 10
	KindUnlock      Kind = 11
	KindLockExtend  Kind = 12
	KindLockBreak   Kind = 13
	KindLockExpire  Kind = 14
	KindLockInfo    Kind = 15
	KindSeqCreate   Kind = 16
	KindSeqNext     Kind = 17
	KindSeqSet      Kind = 18
	KindSeqDelete   Kind = 19
	KindSeqGet      Kind = 20
	KindSweep       Kind = 21
	KindDeleteRange Kind = 22
	KindScan        Kind = 23
	KindCount       Kind = 24
	KindMulti       Kind = 25
	KindPrewrite    Kind = 26
	KindCheck       Kind = 27
	KindDecide      Kind = 28
	KindSettle      Kind = 29
	KindResolve     Kind = 30
	KindForget      Kind = 31
	KindVersion     Kind = 32
	KindClockBound  Kind = 33
	// 34 and 35 are not used any more.
	KindTxnRead   Kind = 36
	KindMetaPut   Kind = 37
	KindMetaGet   Kind = 38
	KindMetaList  Kind = 39
	KindLockRenew Kind = 45

	KindHashSet       Kind = 40
	KindHashDelete    Kind = 41
	KindHashIncr      Kind = 42
	KindHashIncrFloat Kind = 43
	KindHashGet       Kind = 44
	KindPut           Kind = 70
	KindLook          Kind = 71

	KindSafePoint     Kind = 50
	KindCollect       Kind = 51
	KindPrewriteSince Kind = 55
	KindCheckSince    Kind = 56
	KindAdvise        Kind = 57
	KindForgetOld     Kind = 58

	KindSplit   Kind = 60
	KindRecount Kind = 61
	KindFence   Kind = 62

	KindChanges Kind = 75

	KindPrepare     Kind = 76
	KindCommitMulti Kind = 77
)

// Op is one operation. Target is what it is routed by (Scan, Count and DeleteRange, which are about a range, are routed by
// that: their Target is the zero Name); ReadOnly operations change nothing and need no log entry.
type Op interface {
	Kind() Kind
	Target() Name
	ReadOnly() bool
	wire(*wire)
}

type read struct{}
type write struct{}

func (read) ReadOnly() bool  { return true }
func (write) ReadOnly() bool { return false }

// Cond is a condition on the current version of a key.
type Cond byte

const (
	Always  Cond = 0
	IfNone  Cond = 1 // NX: the key does not exist
	IfAny   Cond = 2 // XX: it exists
	IfEqual Cond = 3 // IFEQ: it exists and its value is CondValue
	IfRev   Cond = 4 // IFREV: its revision is CondRev; 0 means it does not exist
	IfOther Cond = 5 // IFNE: it does not exist, or its value is not CondValue
)

// ExpiryMode says what a Set does to the key's expiry, or what an Expire sets it to.
type ExpiryMode byte

const (
	ExpiryClear ExpiryMode = 0 // no expiry (PERSIST)
	ExpiryKeep  ExpiryMode = 1 // KEEPTTL
	ExpiryIn    ExpiryMode = 2 // ExpiryMilli from the operation's timestamp
	ExpiryAt    ExpiryMode = 3 // at ExpiryMilli, in Unix time
)

// Expiry is an expiry as a client asks for it; it becomes a timestamp when the operation gets its own.
type Expiry struct {
	Mode  ExpiryMode
	Milli int64
}

// Set writes a key. Result: Done (false: the condition failed), Rev (the new revision, or the current one when it failed),
// and with WantOld the old Value and Found.
type Set struct {
	write
	Key       []byte
	Value     []byte
	Cond      Cond
	CondValue []byte
	CondRev   uint64
	Expiry    Expiry
	NoRev     bool // this version leaves no value in the history once it is replaced
	WantOld   bool
}

// Delete deletes a key. Result: Done, Rev (the deletion's), and with WantOld the old Value and Found.
type Delete struct {
	write
	Key       []byte
	Cond      Cond
	CondValue []byte
	CondRev   uint64
	WantOld   bool
}

// ExpireCond is the NX, XX, GT or LT of EXPIRE.
type ExpireCond byte

const (
	ExpireAlways ExpireCond = 0
	ExpireNone   ExpireCond = 1 // NX: only if it has no expiry
	ExpireAny    ExpireCond = 2 // XX: only if it has one
	ExpireLater  ExpireCond = 4 // GT: only if the new one is later (none counts as infinite)
	ExpireSooner ExpireCond = 8 // LT: only if it is sooner
)

// Expire changes a key's expiry and nothing else: no new revision. Conds is a set of ExpireCond bits. An expiry that is not
// in the future deletes the key. Result: Found, Done (false: no such key, or the condition failed), with WantOld the Value.
// For ExpiryClear, Done tells whether there was an expiry.
type Expire struct {
	write
	Key     []byte
	Expiry  Expiry
	Conds   ExpireCond
	WantOld bool
}

// Incr adds Delta to the integer that the key holds (0 if it does not exist). Result: Int; NotInteger, Overflow.
type Incr struct {
	write
	Key   []byte
	Delta int64
}

// IncrFloat adds Delta to the number that the key holds. Result: Value, the new text; NotFloat, NotFinite.
type IncrFloat struct {
	write
	Key   []byte
	Delta float64
}

// AppendTo appends to the string that the key holds. Result: Int, the new length; TooLarge.
type AppendTo struct {
	write
	Key      []byte
	Value    []byte
	MaxBytes uint64
}

// SetRange overwrites part of the string that the key holds, padding with zero bytes. Result: Int, the new length; TooLarge.
type SetRange struct {
	write
	Key      []byte
	Offset   uint64
	Value    []byte
	MaxBytes uint64
}

// Get reads a key. Result: Found, Value, Rev, TS, ExpireAt. With AtRev the version of that revision, from the history
// (Found false when there is none; Collected when it is not kept).
type Get struct {
	read
	Key   []byte
	AtRev uint64 // 0: the newest
}

// History lists versions of a key, newest first. Result: Items (a deletion has Deleted set).
type History struct {
	read
	Key   []byte
	Limit uint32
}

// LockAcquire asks for a lock. Result: Done and Int (the fencing token), or not Done when somebody else holds it; Mismatch
// when others named another number of permits. Found tells that the owner was a holder before.
type LockAcquire struct {
	write
	Name     []byte
	Owner    []byte
	TTLMilli int64
	Shared   bool
	Permits  uint32 // 0 and 1: one holder
}

// LockRenew asks for a lock that others wait for: it is a LockAcquire for an owner who holds it, and never makes a new holder.
// Result: as of LockAcquire.
type LockRenew struct {
	write
	Name     []byte
	Owner    []byte
	TTLMilli int64
	Shared   bool
	Permits  uint32
}

// LockRelease gives a lock back. Result: Done.
type LockRelease struct {
	write
	Name  []byte
	Owner []byte
}

// LockExtend makes an owner's lease TTLMilli from now. Result: Done and Int (the token).
type LockExtend struct {
	write
	Name     []byte
	Owner    []byte
	TTLMilli int64
}

// LockBreak puts an owner out, or all of them when AnyOwner. Result: Int, how many.
type LockBreak struct {
	write
	Name     []byte
	Owner    []byte
	AnyOwner bool
}

// LockExpire is said by a leader whose monotonic clock saw a lease run out: the owner's hold ends if its last grant or
// extension is still the one at Granted, else it is a no-op. Result: Done.
type LockExpire struct {
	write
	Name    []byte
	Owner   []byte
	Granted Timestamp
}

// LockInfo reads a lock. Result: Found, Lock, and as Int how many wait for it.
type LockInfo struct {
	read
	Name []byte
}

// SeqCreate makes a sequence. Result: Done (also when it exists with the same settings); Exists when it has others.
type SeqCreate struct {
	write
	Name []byte
	SeqSettings
}

// SeqSettings are the settings of a sequence; Start is the first value given out.
type SeqSettings struct {
	Start int64
	Step  int64 // not 0
	Min   int64
	Max   int64
	Cycle bool
}

// SeqNext takes Count values. Result: Int (first), Last, Step; Exhausted, IdemMismatch. A missing sequence is created.
type SeqNext struct {
	write
	Name      []byte
	Count     uint32
	Idem      []byte // empty: none
	IdemMilli int64  // how long the answer is remembered
}

// SeqSet makes Value the last value given out. Result: Done; NotFound, WrongDirection (unless Force), OutOfBounds.
type SeqSet struct {
	write
	Name  []byte
	Value int64
	Force bool
}

// SeqDelete deletes a sequence. Result: Done.
type SeqDelete struct {
	write
	Name []byte
}

// SeqGet reads a sequence. Result: Found, Seq.
type SeqGet struct {
	read
	Name []byte
}

// Sweep turns the version TS of a name that is past its expiry to a deletion; a no-op if it is another version by now.
// Result: Done.
type Sweep struct {
	write
	Name Name
	TS   Timestamp
}

// DeleteRange deletes up to Limit keys of a slot range whose version is not newer than UpTo (FLUSHALL, page by page).
// Result: Int, how many; Next, where to go on, or nothing when this range is done.
type DeleteRange struct {
	write
	Space Space
	From  Position
	To    Position
	UpTo  Timestamp
	Limit uint32
}

// Scan lists names. Without ByName it goes in the order of slots and starts at From; with ByName it goes in the order of
// names, over all slots of the partition, after After and below End. Result: Items, and Next (or After) when there is more.
type Scan struct {
	read
	Space    Space
	From     Position // ByName false: the first position of interest
	To       Position // the first position past it; the zero Position: to the end
	Prefix   []byte
	Match    []byte // glob; empty: all
	ByName   bool
	Start    []byte // ByName: names from here on
	After    bool   // ByName: Start itself is left out
	End      []byte // ByName: names below this; empty: no bound
	Limit    uint32 // items
	MaxBytes uint32
	Values   bool // with their values
}

// Count counts the live names of a space in a range of slots. Result: Int.
type Count struct {
	read
	Space Space
	From  Position
	To    Position
}

// Position is a place in the ordered space [slot][name] that partitions are ranges of. To a Scan the zero Position is the
// start as From, and "no bound" as To.
type Position struct {
	Slot uint16
	Name []byte
}

// Seen is a version of a name as somebody saw it: its timestamp, 0 for none at all, and whether it was live.
type Seen struct {
	Name Name
	TS   Timestamp
	Live bool
}

// Multi runs all of Ops in one partition at one timestamp, if every Watch still holds. Result: Done (false: a watch
// failed), Sub, one result for each op.
type Multi struct {
	write
	Ops     []Op
	Watches []Seen
}

// Version asks for the version of a name, live or not, for WATCH and for transactions. Result: TS, Rev, Found (live); with
// Full also Value, ExpireAt and, as Int, the type of the value.
type Version struct {
	read
	Name Name
	Full bool
}

// TxnRead reads a transaction's record at home. Result: Found, Txn.
type TxnRead struct {
	read
	Txn  TxnID
	Home Name
}

// TxnID names a transaction: its start timestamp, unique in the cluster.
type TxnID = Timestamp

// Write is what a transaction leaves at a name. A Deleted one leaves a deletion.
type Write struct {
	Name     Name
	Type     byte // of the value, as mvcc numbers them
	Value    []byte
	Deleted  bool
	NoRev    bool
	ExpireAt Timestamp
	KeepRev  bool // only the expiry changed
}

// Prewrite lays a transaction's intents at the names of one partition. At the home partition it also lays the record:
// pending, with the deadline and the names that take part. Result: Done; Conflict, Aborted.
type Prewrite struct {
	write
	Txn      TxnID
	Home     Name
	Writes   []Write
	AtHome   bool
	Deadline Timestamp
	Names    []Name // AtHome: all names written, on all partitions
}

// Check verifies what a transaction read in one partition and did not write, at its commit timestamp. Result: Done;
// Conflict.
type Check struct {
	read
	Txn   TxnID
	Reads []Seen
	Scans []ScanSeen
	At    Timestamp
}

// ScanSeen is a range that a transaction scanned; no name in it may have a version newer than the transaction's start.
type ScanSeen struct {
	Space  Space
	From   Position
	To     Position
	Prefix []byte
	Start  []byte
	End    []byte
}

// Decide turns the record at home from pending to committed At. It loses when the record is not pending any more, or the
// deadline has passed. Result: Done and TS; Aborted.
type Decide struct {
	write
	Txn  TxnID
	Home Name
	At   Timestamp
}

// Settle asks the record at home what became of a transaction, and ends it as aborted when its deadline has passed, when
// there is no record, or when Abort is set (its coordinator gives up). Result: Txn.
type Settle struct {
	write
	Txn   TxnID
	Home  Name
	Abort bool
}

// Resolve turns a transaction's intents at Names to versions at At, or removes them when it was aborted. Result: Int, how
// many there were; Done (false: there were too many for one entry, it is to be sent again).
type Resolve struct {
	write
	Txn       TxnID
	Names     []Name
	Committed bool
	At        Timestamp
}

// Forget removes the record of a transaction all of whose intents are resolved. Result: Done.
type Forget struct {
	write
	Txn  TxnID
	Home Name
}

// ClockBound promises, in the meta group, that no timestamp at or above Until is given out before a larger bound is set.
// Result: TS, the bound in force.
type ClockBound struct {
	write
	Until Timestamp
}
