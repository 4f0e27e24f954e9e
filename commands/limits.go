package commands

// Limits bounds what one client can ask for. A zero field means its default.
type Limits struct {
	NameBytes      int   // of a key, lock, sequence, owner or idempotency key
	ValueBytes     int   // of a value
	BatchOps       int   // operations given to the Backend in one call
	BatchReads     int   // reads among them: what they return is held in memory at once
	QueuedCommands int   // in one MULTI
	QueuedBytes    int   // of the arguments of one MULTI
	Watches        int   // watched keys of one session
	Subscriptions  int   // of one session, of all kinds
	ReplyBytes     int   // of one reply that gathers many values (MGET, KEYS)
	PageItems      int   // of one page of KPREFIX, KRANGE and the SCAN family
	PageBytes      int   // of such a page
	HistoryItems   int   // of one KHISTORY
	ScanPositions  int   // positions inside a slot that are remembered for SCAN cursors, on the whole node
	LockTTLMilli   int64 // of a lease, milliseconds
	HoldTTLMilli   int64 // of a hold on the history, milliseconds
	LockWaitMilli  int64 // of a LOCK's WAIT, milliseconds
	IdemMilli      int64 // how long SEQNEXT ... IDEM remembers its answer, milliseconds
}

// defaultLimits are those of the command contract.
var defaultLimits = Limits{
	NameBytes:      8 << 10,
	ValueBytes:     4 << 20,
	BatchOps:       512,
	BatchReads:     128,
	QueuedCommands: 10_000,
	QueuedBytes:    64 << 20,
	Watches:        4096,
	Subscriptions:  10_000,
	ReplyBytes:     256 << 20,
	PageItems:      10_000,
	PageBytes:      8 << 20,
	HistoryItems:   10_000,
	ScanPositions:  1 << 16,
	LockTTLMilli:   30 * 24 * 60 * 60 * 1000,
	HoldTTLMilli:   7 * 24 * 60 * 60 * 1000,
	LockWaitMilli:  24 * 60 * 60 * 1000,
	IdemMilli:      24 * 60 * 60 * 1000,
}

// timestampsMax is how many timestamps TIMESTAMP gives at once, so that users can't run the clock ahead.
const timestampsMax = 4096

func (l Limits) withDefaults() Limits {
	for _, f := range []struct{ v, d *int }{
		{&l.NameBytes, &defaultLimits.NameBytes},
		{&l.ValueBytes, &defaultLimits.ValueBytes},
		{&l.BatchOps, &defaultLimits.BatchOps},
		{&l.BatchReads, &defaultLimits.BatchReads},
		{&l.QueuedCommands, &defaultLimits.QueuedCommands},
		{&l.QueuedBytes, &defaultLimits.QueuedBytes},
		{&l.Watches, &defaultLimits.Watches},
		{&l.Subscriptions, &defaultLimits.Subscriptions},
		{&l.ReplyBytes, &defaultLimits.ReplyBytes},
		{&l.PageItems, &defaultLimits.PageItems},
		{&l.PageBytes, &defaultLimits.PageBytes},
		{&l.HistoryItems, &defaultLimits.HistoryItems},
		{&l.ScanPositions, &defaultLimits.ScanPositions},
	} {
		if *f.v <= 0 {
			*f.v = *f.d
		}
	}
	if l.LockTTLMilli <= 0 {
		l.LockTTLMilli = defaultLimits.LockTTLMilli
	}
	if l.HoldTTLMilli <= 0 {
		l.HoldTTLMilli = defaultLimits.HoldTTLMilli
	}
	if l.LockWaitMilli <= 0 {
		l.LockWaitMilli = defaultLimits.LockWaitMilli
	}
	if l.IdemMilli <= 0 {
		l.IdemMilli = defaultLimits.IdemMilli
	}
	return l
}
