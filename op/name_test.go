package op

import (
	"math"
	"testing"
)

// The vectors of the Redis Cluster specification.
func TestSlot(t *testing.T) {
	if got := Slot([]byte("123456789")); got != 0x31C3%Slots {
		t.Errorf("the check value of CRC16/XMODEM is %#x", got)
	}
	for _, v := range []struct{ name, same string }{
		{"{user1000}.following", "user1000"},
		{"{user1000}.followers", "user1000"},
		{"foo{{bar}}zap", "{bar"},
		{"foo{bar}{zap}", "bar"},
		{"a{b}", "b"},
		{"{\x00}", "\x00"},
	} {
		if Slot([]byte(v.name)) != Slot([]byte(v.same)) {
			t.Errorf("%q does not stand with %q", v.name, v.same)
		}
	}
	for _, v := range []struct {
		name string
		slot uint16
	}{{"", 0}, {"foo", 12182}, {"bar", 5061}, {"hello", 866}, {"user1000", 3443}, {"{}", 15257}, {"foo{}{bar}", 8363}} {
		if got := Slot([]byte(v.name)); got != v.slot {
			t.Errorf("%q has slot %d, want %d", v.name, got, v.slot)
		}
	}
	if Slot([]byte("foo{bar")) == Slot([]byte("bar")) || Slot([]byte("foo}{bar")) == Slot([]byte("bar")) {
		t.Error("a tag that is not closed counts")
	}
}

func TestNamesOfSpacesDiffer(t *testing.T) {
	k := []byte("n")
	names := []Name{Key(k), Lock(k), Seq(k), {SpaceIdem, k, nil}, {SpaceIdem, k, k}}
	for i, a := range names {
		for j, b := range names {
			if a.Equal(b) != (i == j) || a.Slot() != b.Slot() {
				t.Errorf("%v and %v", a, b)
			}
		}
	}
}

func TestFromUnixMilli(t *testing.T) {
	const last = int64(MaxTimestamp>>CounterBits) + EpochUnixMilli
	for _, v := range []struct {
		ms   int64
		want Timestamp
	}{
		{math.MinInt64, 0}, {-1, 0}, {0, 0}, {EpochUnixMilli - 1, 0}, {EpochUnixMilli, 0}, {EpochUnixMilli + 1, 1 << CounterBits},
		{last - 1, (MaxTimestamp>>CounterBits - 1) << CounterBits}, {last, MaxTimestamp}, {math.MaxInt64, MaxTimestamp},
	} {
		if got := FromUnixMilli(v.ms); got != v.want {
			t.Errorf("%d: %d, want %d", v.ms, got, v.want)
		}
	}
	for _, ms := range []int64{EpochUnixMilli + 1, EpochUnixMilli + 123456789, last - 1} {
		if got := FromUnixMilli(ms).UnixMilli(); got != ms {
			t.Errorf("%d became %d", ms, got)
		}
		if got := (FromUnixMilli(ms) + 1<<CounterBits - 1).UnixMilli(); got != ms {
			t.Errorf("the last timestamp of %d lies in %d", ms, got)
		}
	}
}

func TestTimestampAdd(t *testing.T) {
	const ms = 1 << CounterBits
	for _, v := range []struct {
		t    Timestamp
		ms   int64
		want Timestamp
	}{
		{5, 0, 5}, {5, 1, 5 + ms}, {5 + 3*ms, -1, 5 + 2*ms}, {5 + 3*ms, -3, 1}, {5 + 3*ms, -4, 1}, {5, -1, 1},
		{5, math.MinInt64, 1}, {MaxTimestamp, math.MinInt64, 1}, {5, math.MaxInt64, MaxTimestamp},
		{MaxTimestamp, 0, MaxTimestamp}, {MaxTimestamp, 1, MaxTimestamp}, {MaxTimestamp, math.MaxInt64, MaxTimestamp},
		{MaxTimestamp - 2*ms, 1, MaxTimestamp - ms}, {MaxTimestamp - 2*ms, 3, MaxTimestamp}, {7, 1<<41 - 1, MaxTimestamp},
	} {
		if got := v.t.Add(v.ms); got != v.want {
			t.Errorf("%d plus %d ms: %d, want %d", v.t, v.ms, got, v.want)
		}
	}
}

func TestTimestampsOfOperations(t *testing.T) {
	one := &Get{}
	for _, v := range []struct {
		o    Op
		want int
	}{{one, 1}, {&Multi{}, 1}, {&Multi{Ops: []Op{one}}, 1}, {&Multi{Ops: []Op{one, one, one}}, 3}} {
		if got := Timestamps(v.o); got != v.want {
			t.Errorf("%#v: %d, want %d", v.o, got, v.want)
		}
	}
}

func TestBounces(t *testing.T) {
	for s := range Status(255) {
		if want := s == Moved || s == Blocked || s == Again; s.Bounce() != want {
			t.Errorf("status %d: %v", s, s.Bounce())
		}
	}
}
