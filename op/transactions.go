package op

// TxnHomes is how many names of SpaceTxn there are. Each interactive transaction's record is at one of them, which its start
// alone decides, so that any node can ask for it; those of one name are in the order of their starts.
const TxnHomes = 256

// TxnHome is the home name of the interactive transaction that began at start.
func TxnHome(start TxnID) Name {
	const digits = "0123456789abcdef"
	h := byte(uint64(start) * 0x9E3779B97F4A7C15 >> 56) // Fibonacci hashing: neighbours lie far apart
	return Name{Space: SpaceTxn, Key: []byte{'t', 'x', 'n', digits[h>>4], digits[h&15]}}
}

// PrewriteSince is a Prewrite of a transaction whose snapshot has moved on since its start: what is newer than Snapshot, not
// what is newer than Txn, is a Conflict.
type PrewriteSince struct {
	Prewrite
	Snapshot Timestamp
}

// CheckSince is such a transaction's Check: its Scans were made at Snapshot.
type CheckSince struct {
	Check
	Snapshot Timestamp
}

// AdviseAct is what an Advise does.
type AdviseAct byte

const (
	AdviseTake    AdviseAct = 0 // locks the names and ranges, waiting for others
	AdviseConfirm AdviseAct = 1 // nobody may take what the transaction has from now on; Conflict when somebody has
	AdviseRelease AdviseAct = 2 // all that the transaction has
)

// Advise is about a pessimistic transaction's locks in one partition. They are in the memory of its leader, and advice only: they
// make transactions wait instead of conflict, and no safety rests on them. Names or Scans has at least one element, which is what it is
// routed by. Result: Done (false: it has waited for WaitMilli in vain); Conflict: an older transaction has taken a lock away, and this
// one is to be given up.
type Advise struct {
	read
	Act       AdviseAct
	Txn       TxnID
	Names     []Name
	Scans     []ScanSeen
	TTLMilli  int64 // after which the locks are free whatever happens
	WaitMilli int64
}

// Prepare is the part of a transaction in one partition that is not its home, when all its operations are known beforehand: it runs
// Multi on what is current and lays what that writes as intents. Names that were only read or watched get an intent too, which keeps
// others from writing there until the transaction has ended. Result: as of Multi, and if Done ExpireAt, the earliest expiry of
// anything seen (0: none), and Txn with the Names of the intents.
type Prepare struct {
	Multi
	Txn  TxnID
	Home Name
}

// CommitMulti is the part of such a transaction in its home partition, sent when all others are prepared. It runs Multi and is the commit
// point: what is written there appears in the same entry as the record that says committed at the entry's time, which names the intents
// elsewhere. Result: as of Multi, and if Done TS, when it was committed; Aborted: there is a record already, or Deadline has
// passed; Conflict: something that another part has seen is past its expiry, Ends (0: none).
type CommitMulti struct {
	Multi
	Txn      TxnID
	Home     Name
	Deadline Timestamp
	Ends     Timestamp
	Names    []Name
}

// MultiOf is the Multi that an operation is or runs; nil: none.
func MultiOf(o Op) *Multi {
	switch o := o.(type) {
	case *Multi:
		return o
	case *Prepare:
		return &o.Multi
	case *CommitMulti:
		return &o.Multi
	}
	return nil
}

// ForgetOld removes records at Home of transactions that are over, resolved, and began before Before: the oldest first, at most Limit.
// Result: Int, how many; Done: there are no more.
type ForgetOld struct {
	write
	Home   Name
	Before Timestamp
	Limit  uint32
}

func (*PrewriteSince) Kind() Kind { return KindPrewriteSince }
func (o *PrewriteSince) wire(w *wire) {
	o.Prewrite.wire(w)
	w.time(&o.Snapshot)
}

func (*CheckSince) Kind() Kind { return KindCheckSince }
func (o *CheckSince) wire(w *wire) {
	o.Check.wire(w)
	w.time(&o.Snapshot)
}

func (*Advise) Kind() Kind     { return KindAdvise }
func (o *Advise) Target() Name { return first(o.Names) }
func (o *Advise) wire(w *wire) {
	w.byte((*byte)(&o.Act))
	w.time(&o.Txn)
	list(w, &o.Names, w.name)
	list(w, &o.Scans, w.scanSeen)
	w.int(&o.TTLMilli)
	w.int(&o.WaitMilli)
}

func (*Prepare) Kind() Kind { return KindPrepare }
func (o *Prepare) wire(w *wire) {
	o.Multi.wire(w)
	w.time(&o.Txn)
	w.name(&o.Home)
}

func (*CommitMulti) Kind() Kind     { return KindCommitMulti }
func (o *CommitMulti) Target() Name { return o.Home }
func (o *CommitMulti) wire(w *wire) {
	o.Multi.wire(w)
	w.time(&o.Txn)
	w.name(&o.Home)
	w.time(&o.Deadline)
	w.time(&o.Ends)
	list(w, &o.Names, w.name)
}

func (*ForgetOld) Kind() Kind     { return KindForgetOld }
func (o *ForgetOld) Target() Name { return o.Home }
func (o *ForgetOld) wire(w *wire) {
	w.name(&o.Home)
	w.time(&o.Before)
	w.uint32(&o.Limit)
}
