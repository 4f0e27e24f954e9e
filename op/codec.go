package op

// The fields of each operation in the order they are written. A field is never removed or reordered; a new one needs a new
// kind, for old logs are read by new programs. Golden bytes: testdata/ops.golden.

func (*Set) Kind() Kind     { return KindSet }
func (o *Set) Target() Name { return Key(o.Key) }
func (o *Set) wire(w *wire) {
	w.bytes(&o.Key)
	w.bytes(&o.Value)
	w.byte((*byte)(&o.Cond))
	w.bytes(&o.CondValue)
	w.uint(&o.CondRev)
	w.expiry(&o.Expiry)
	w.bool(&o.NoRev)
	w.bool(&o.WantOld)
}

func (*Delete) Kind() Kind     { return KindDelete }
func (o *Delete) Target() Name { return Key(o.Key) }
func (o *Delete) wire(w *wire) {
	w.bytes(&o.Key)
	w.byte((*byte)(&o.Cond))
	w.bytes(&o.CondValue)
	w.uint(&o.CondRev)
	w.bool(&o.WantOld)
}

func (*Expire) Kind() Kind     { return KindExpire }
func (o *Expire) Target() Name { return Key(o.Key) }
func (o *Expire) wire(w *wire) {
	w.bytes(&o.Key)
	w.expiry(&o.Expiry)
	w.byte((*byte)(&o.Conds))
	w.bool(&o.WantOld)
}

func (*Incr) Kind() Kind     { return KindIncr }
func (o *Incr) Target() Name { return Key(o.Key) }
func (o *Incr) wire(w *wire) {
	w.bytes(&o.Key)
	w.int(&o.Delta)
}

func (*IncrFloat) Kind() Kind     { return KindIncrFloat }
func (o *IncrFloat) Target() Name { return Key(o.Key) }
func (o *IncrFloat) wire(w *wire) {
	w.bytes(&o.Key)
	w.float(&o.Delta)
}

func (*AppendTo) Kind() Kind     { return KindAppend }
func (o *AppendTo) Target() Name { return Key(o.Key) }
func (o *AppendTo) wire(w *wire) {
	w.bytes(&o.Key)
	w.bytes(&o.Value)
	w.uint(&o.MaxBytes)
}

func (*SetRange) Kind() Kind     { return KindSetRange }
func (o *SetRange) Target() Name { return Key(o.Key) }
func (o *SetRange) wire(w *wire) {
	w.bytes(&o.Key)
	w.uint(&o.Offset)
	w.bytes(&o.Value)
	w.uint(&o.MaxBytes)
}

func (*Get) Kind() Kind     { return KindGet }
func (o *Get) Target() Name { return Key(o.Key) }
func (o *Get) wire(w *wire) {
	w.bytes(&o.Key)
	w.uint(&o.AtRev)
}

func (*History) Kind() Kind     { return KindHistory }
func (o *History) Target() Name { return Key(o.Key) }
func (o *History) wire(w *wire) {
	w.bytes(&o.Key)
	w.uint32(&o.Limit)
}

func (*LockAcquire) Kind() Kind     { return KindLock }
func (o *LockAcquire) Target() Name { return Lock(o.Name) }
func (o *LockAcquire) wire(w *wire) {
	w.bytes(&o.Name)
	w.bytes(&o.Owner)
	w.int(&o.TTLMilli)
	w.bool(&o.Shared)
	w.uint32(&o.Permits)
}

func (*LockRenew) Kind() Kind     { return KindLockRenew }
func (o *LockRenew) Target() Name { return Lock(o.Name) }
func (o *LockRenew) wire(w *wire) {
	w.bytes(&o.Name)
	w.bytes(&o.Owner)
	w.int(&o.TTLMilli)
	w.bool(&o.Shared)
	w.uint32(&o.Permits)
}

func (*LockRelease) Kind() Kind     { return KindUnlock }
func (o *LockRelease) Target() Name { return Lock(o.Name) }
func (o *LockRelease) wire(w *wire) {
	w.bytes(&o.Name)
	w.bytes(&o.Owner)
}

func (*LockExtend) Kind() Kind     { return KindLockExtend }
func (o *LockExtend) Target() Name { return Lock(o.Name) }
func (o *LockExtend) wire(w *wire) {
	w.bytes(&o.Name)
	w.bytes(&o.Owner)
	w.int(&o.TTLMilli)
}

func (*LockBreak) Kind() Kind     { return KindLockBreak }
func (o *LockBreak) Target() Name { return Lock(o.Name) }
func (o *LockBreak) wire(w *wire) {
	w.bytes(&o.Name)
	w.bytes(&o.Owner)
	w.bool(&o.AnyOwner)
}

func (*LockExpire) Kind() Kind     { return KindLockExpire }
func (o *LockExpire) Target() Name { return Lock(o.Name) }
func (o *LockExpire) wire(w *wire) {
	w.bytes(&o.Name)
	w.bytes(&o.Owner)
	w.time(&o.Granted)
}

func (*LockInfo) Kind() Kind     { return KindLockInfo }
func (o *LockInfo) Target() Name { return Lock(o.Name) }
func (o *LockInfo) wire(w *wire) {
	w.bytes(&o.Name)
}

func (*SeqCreate) Kind() Kind     { return KindSeqCreate }
func (o *SeqCreate) Target() Name { return Seq(o.Name) }
func (o *SeqCreate) wire(w *wire) {
	w.bytes(&o.Name)
	w.seqSettings(&o.SeqSettings)
}

func (*SeqNext) Kind() Kind     { return KindSeqNext }
func (o *SeqNext) Target() Name { return Seq(o.Name) }
func (o *SeqNext) wire(w *wire) {
	w.bytes(&o.Name)
	w.uint32(&o.Count)
	w.bytes(&o.Idem)
	w.int(&o.IdemMilli)
}

func (*SeqSet) Kind() Kind     { return KindSeqSet }
func (o *SeqSet) Target() Name { return Seq(o.Name) }
func (o *SeqSet) wire(w *wire) {
	w.bytes(&o.Name)
	w.int(&o.Value)
	w.bool(&o.Force)
}

func (*SeqDelete) Kind() Kind     { return KindSeqDelete }
func (o *SeqDelete) Target() Name { return Seq(o.Name) }
func (o *SeqDelete) wire(w *wire) {
	w.bytes(&o.Name)
}

func (*SeqGet) Kind() Kind     { return KindSeqGet }
func (o *SeqGet) Target() Name { return Seq(o.Name) }
func (o *SeqGet) wire(w *wire) {
	w.bytes(&o.Name)
}

func (*Sweep) Kind() Kind     { return KindSweep }
func (o *Sweep) Target() Name { return o.Name }
func (o *Sweep) wire(w *wire) {
	w.name(&o.Name)
	w.time(&o.TS)
}

func (*DeleteRange) Kind() Kind     { return KindDeleteRange }
func (o *DeleteRange) Target() Name { return Name{Space: o.Space} }
func (o *DeleteRange) wire(w *wire) {
	w.byte((*byte)(&o.Space))
	w.position(&o.From)
	w.position(&o.To)
	w.time(&o.UpTo)
	w.uint32(&o.Limit)
}

func (*Scan) Kind() Kind     { return KindScan }
func (o *Scan) Target() Name { return Name{Space: o.Space} }
func (o *Scan) wire(w *wire) {
	w.byte((*byte)(&o.Space))
	w.position(&o.From)
	w.position(&o.To)
	w.bytes(&o.Prefix)
	w.bytes(&o.Match)
	w.bool(&o.ByName)
	w.bytes(&o.Start)
	w.bool(&o.After)
	w.bytes(&o.End)
	w.uint32(&o.Limit)
	w.uint32(&o.MaxBytes)
	w.bool(&o.Values)
}

func (*Count) Kind() Kind     { return KindCount }
func (o *Count) Target() Name { return Name{Space: o.Space} }
func (o *Count) wire(w *wire) {
	w.byte((*byte)(&o.Space))
	w.position(&o.From)
	w.position(&o.To)
}

func (*Multi) Kind() Kind { return KindMulti }
func (o *Multi) Target() Name {
	if len(o.Ops) == 0 && len(o.Watches) > 0 {
		return o.Watches[0].Name
	}
	return firstOf(o.Ops)
}
func (o *Multi) wire(w *wire) {
	w.ops(&o.Ops)
	list(w, &o.Watches, w.seen)
}

func (*Version) Kind() Kind     { return KindVersion }
func (o *Version) Target() Name { return o.Name }
func (o *Version) wire(w *wire) {
	w.name(&o.Name)
	w.bool(&o.Full)
}

func (*TxnRead) Kind() Kind     { return KindTxnRead }
func (o *TxnRead) Target() Name { return o.Home }
func (o *TxnRead) wire(w *wire) {
	w.time(&o.Txn)
	w.name(&o.Home)
}

func (*Prewrite) Kind() Kind { return KindPrewrite }
func (o *Prewrite) Target() Name {
	if len(o.Writes) == 0 {
		return o.Home // an interactive transaction's record may be at a partition where it writes nothing
	}
	return o.Writes[0].Name
}
func (o *Prewrite) wire(w *wire) {
	w.time(&o.Txn)
	w.name(&o.Home)
	list(w, &o.Writes, w.write)
	w.bool(&o.AtHome)
	w.time(&o.Deadline)
	list(w, &o.Names, w.name)
}

func (*Check) Kind() Kind     { return KindCheck }
func (o *Check) Target() Name { return firstSeen(o.Reads) }
func (o *Check) wire(w *wire) {
	w.time(&o.Txn)
	list(w, &o.Reads, w.seen)
	list(w, &o.Scans, w.scanSeen)
	w.time(&o.At)
}

func (*Decide) Kind() Kind     { return KindDecide }
func (o *Decide) Target() Name { return o.Home }
func (o *Decide) wire(w *wire) {
	w.time(&o.Txn)
	w.name(&o.Home)
	w.time(&o.At)
}

func (*Settle) Kind() Kind     { return KindSettle }
func (o *Settle) Target() Name { return o.Home }
func (o *Settle) wire(w *wire) {
	w.time(&o.Txn)
	w.name(&o.Home)
	w.bool(&o.Abort)
}

func (*Resolve) Kind() Kind     { return KindResolve }
func (o *Resolve) Target() Name { return first(o.Names) }
func (o *Resolve) wire(w *wire) {
	w.time(&o.Txn)
	list(w, &o.Names, w.name)
	w.bool(&o.Committed)
	w.time(&o.At)
}

func (*Forget) Kind() Kind     { return KindForget }
func (o *Forget) Target() Name { return o.Home }
func (o *Forget) wire(w *wire) {
	w.time(&o.Txn)
	w.name(&o.Home)
}

func (*ClockBound) Kind() Kind     { return KindClockBound }
func (o *ClockBound) Target() Name { return Name{} }
func (o *ClockBound) wire(w *wire) {
	w.time(&o.Until)
}

func (w *wire) seqSettings(o *SeqSettings) {
	w.int(&o.Start)
	w.int(&o.Step)
	w.int(&o.Min)
	w.int(&o.Max)
	w.bool(&o.Cycle)
}

func (w *wire) write(o *Write) {
	w.name(&o.Name)
	w.byte(&o.Type)
	w.bytes(&o.Value)
	w.bool(&o.Deleted)
	w.bool(&o.NoRev)
	w.time(&o.ExpireAt)
	w.bool(&o.KeepRev)
}

func (w *wire) scanSeen(o *ScanSeen) {
	w.byte((*byte)(&o.Space))
	w.position(&o.From)
	w.position(&o.To)
	w.bytes(&o.Prefix)
	w.bytes(&o.Start)
	w.bytes(&o.End)
}

// makers gives an empty operation of each kind to decode into.
var makers = [256]func() Op{
	KindSet:         func() Op { return new(Set) },
	KindDelete:      func() Op { return new(Delete) },
	KindExpire:      func() Op { return new(Expire) },
	KindIncr:        func() Op { return new(Incr) },
	KindIncrFloat:   func() Op { return new(IncrFloat) },
	KindAppend:      func() Op { return new(AppendTo) },
	KindSetRange:    func() Op { return new(SetRange) },
	KindGet:         func() Op { return new(Get) },
	KindHistory:     func() Op { return new(History) },
	KindLock:        func() Op { return new(LockAcquire) },
	KindUnlock:      func() Op { return new(LockRelease) },
	KindLockExtend:  func() Op { return new(LockExtend) },
	KindLockBreak:   func() Op { return new(LockBreak) },
	KindLockExpire:  func() Op { return new(LockExpire) },
	KindLockInfo:    func() Op { return new(LockInfo) },
	KindSeqCreate:   func() Op { return new(SeqCreate) },
	KindSeqNext:     func() Op { return new(SeqNext) },
	KindSeqSet:      func() Op { return new(SeqSet) },
	KindSeqDelete:   func() Op { return new(SeqDelete) },
	KindSeqGet:      func() Op { return new(SeqGet) },
	KindSweep:       func() Op { return new(Sweep) },
	KindDeleteRange: func() Op { return new(DeleteRange) },
	KindScan:        func() Op { return new(Scan) },
	KindCount:       func() Op { return new(Count) },
	KindMulti:       func() Op { return new(Multi) },
	KindPrewrite:    func() Op { return new(Prewrite) },
	KindCheck:       func() Op { return new(Check) },
	KindDecide:      func() Op { return new(Decide) },
	KindSettle:      func() Op { return new(Settle) },
	KindResolve:     func() Op { return new(Resolve) },
	KindForget:      func() Op { return new(Forget) },
	KindVersion:     func() Op { return new(Version) },
	KindClockBound:  func() Op { return new(ClockBound) },
	KindTxnRead:     func() Op { return new(TxnRead) },
	KindMetaPut:     func() Op { return new(MetaPut) },
	KindMetaGet:     func() Op { return new(MetaGet) },
	KindMetaList:    func() Op { return new(MetaList) },
	KindLockRenew:   func() Op { return new(LockRenew) },
	KindSafePoint:   func() Op { return new(SafePoint) },
	KindCollect:     func() Op { return new(Collect) },

	KindPrewriteSince: func() Op { return new(PrewriteSince) },
	KindCheckSince:    func() Op { return new(CheckSince) },
	KindAdvise:        func() Op { return new(Advise) },
	KindForgetOld:     func() Op { return new(ForgetOld) },

	KindSplit:   func() Op { return new(Split) },
	KindRecount: func() Op { return new(Recount) },
	KindFence:   func() Op { return new(Fence) },

	KindChanges: func() Op { return new(Changes) },

	KindHashSet:       func() Op { return new(HashSet) },
	KindHashDelete:    func() Op { return new(HashDelete) },
	KindHashIncr:      func() Op { return new(HashIncr) },
	KindHashIncrFloat: func() Op { return new(HashIncrFloat) },
	KindHashGet:       func() Op { return new(HashGet) },
	KindPut:           func() Op { return new(Put) },
	KindLook:          func() Op { return new(Look) },

	KindPrepare:     func() Op { return new(Prepare) },
	KindCommitMulti: func() Op { return new(CommitMulti) },
}

func first(ns []Name) Name {
	if len(ns) == 0 {
		return Name{}
	}
	return ns[0]
}

func firstOf(ops []Op) Name {
	if len(ops) == 0 {
		return Name{}
	}
	return ops[0].Target()
}

func firstSeen(seen []Seen) Name {
	if len(seen) == 0 {
		return Name{}
	}
	return seen[0].Name
}
