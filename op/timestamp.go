package op

// Timestamp is a position in the cluster's one global order: milliseconds since 2025-01-01T00:00:00Z shifted left by
// CounterBits, plus a counter. It stays below 2^53 until 2094. Zero means "none", never "latest".
type Timestamp uint64

const (
	// CounterBits is the width of a timestamp's counter.
	CounterBits = 12
	// EpochUnixMilli is 2025-01-01T00:00:00Z in Unix milliseconds.
	EpochUnixMilli = 1735689600000
	// MaxTimestamp is above every timestamp the clock gives out.
	MaxTimestamp Timestamp = 1<<53 - 1
)

// FromUnixMilli is the first timestamp of a Unix millisecond; 0 for times before the epoch, MaxTimestamp for those past the end.
func FromUnixMilli(ms int64) Timestamp {
	switch {
	case ms <= EpochUnixMilli:
		return 0
	case ms-EpochUnixMilli >= int64(MaxTimestamp>>CounterBits):
		return MaxTimestamp
	}
	return Timestamp(ms-EpochUnixMilli) << CounterBits
}

// UnixMilli is the Unix millisecond that the timestamp lies in.
func (t Timestamp) UnixMilli() int64 { return int64(t>>CounterBits) + EpochUnixMilli }

// Add moves the timestamp by a number of milliseconds, held within 1 and MaxTimestamp.
func (t Timestamp) Add(ms int64) Timestamp {
	if ms >= 0 {
		if uint64(ms) >= uint64(MaxTimestamp-t)>>CounterBits {
			return MaxTimestamp
		}
		return t + Timestamp(ms)<<CounterBits
	}
	if uint64(-ms) >= uint64(t)>>CounterBits {
		return 1
	}
	return t - Timestamp(-ms)<<CounterBits
}
