package keys

import (
	"math"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

// The sums are what Redis 7.0 answered on x86-64.
func TestIncrFloat(t *testing.T) {
	for _, c := range []struct {
		old   string
		delta float64
		want  string
	}{
		{"0.1", 0.2, "0.3"},
		{"1", -1.1, "-0.1"},
		{"5.0e3", 200, "5200"},
		{"1E5", 1.5, "100001.5"},
		{"1.", 0, "1"},
		{".5", 0, "0.5"},
		{"+1", 1.5, "2.5"},
		{"00012", 1.5, "13.5"},
		{"-0.0", 0, "0"},
		{"-1.5", 1.5, "0"},
		{"1e-20", 0, "0"},
		{"8092348.8e4", .67725373, "80923488000.67725373059511185"},
		{"91852868011.542e17", 56999092210, "9185286801154200057042436096"},
		{"-504398.91761679", 66.758074074779, "-504332.15954271522102204"},
		{".24324595801482", -2.26098767068122e-14, "0.24324595801479739"},
		{"-03879832823.7363e9", 6.49104, "-3879832823736299993.5"},
		{".13146323108118e-14", 3.893199, "3.89319900000000131"},
		{"-3310390200941.07", .7459, "-3310390200940.32410001754760742"},
	} {
		res := incrFloat(t, c.old, c.delta)
		if string(res.Value) != c.want {
			t.Errorf("%q + %v = %q (status %d), want %q", c.old, c.delta, res.Value, res.Status, c.want)
		}
	}
}

func TestIncrFloatRefuses(t *testing.T) {
	for _, old := range []string{
		"", " 1", "1 ", ".", "-", "+-1", "--1", "1e", "1e+", "1e5.5", "1_0", "nan", "infinit", "1..2", "1.2.3", "1\x00", "1p3", "1/2",
		"0x10", "1e4933", "1.2e4932", "1e5000", "1e99999999999", "1e-99999999999", strings.Repeat("1", numberBytesMax+1),
	} {
		if res := incrFloat(t, old, 1); res.Status != op.NotFloat {
			t.Errorf("%.40q is taken as a number: %+v", old, res)
		}
	}
	for _, old := range []string{"inf", "-inf", "+Infinity"} {
		if res := incrFloat(t, old, 1); res.Status != op.NotFinite {
			t.Errorf("%q: %+v", old, res)
		}
	}
	for _, delta := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if res := incrFloat(t, "1", delta); res.Status != op.NotFinite {
			t.Errorf("%v: %+v", delta, res)
		}
	}
	const largest = "1.18973149535723176502e4932"
	if res := incrFloat(t, largest, math.MaxFloat64); res.Status != op.OK || len(res.Value) != 4933 {
		t.Errorf("the largest long double: status %d, %d bytes", res.Status, len(res.Value))
	}
}

// A sum can leave the range only when both numbers are far larger than a float64 delta, so this is about the check alone.
func TestSumOutOfRange(t *testing.T) {
	f, ok := parseFloat([]byte("1.18973149535723176502e4932"))
	if !ok {
		t.Fatal("the largest long double is refused")
	}
	if f.Add(f, f); inRange(f) {
		t.Error("twice the largest long double is in range")
	}
}

func TestIncrFloatMissingKeepsExpiry(t *testing.T) {
	v := viewtest.New()
	key := []byte("k")
	if res := viewtest.Exec(t, v, &op.IncrFloat{Key: key, Delta: 1.5}, Run); string(res.Value) != "1.5" {
		t.Errorf("on a missing key: %+v", res)
	}
	viewtest.Exec(t, v, &op.Expire{Key: key, Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 100}}, Run)
	viewtest.Exec(t, v, &op.IncrFloat{Key: key, Delta: 1}, Run)
	if res := viewtest.Exec(t, v, &op.Get{Key: key}, Run); res.ExpireAt == 0 || string(res.Value) != "2.5" {
		t.Errorf("the expiry is lost: %+v", res)
	}
}

func FuzzParseFloat(f *testing.F) {
	f.Add([]byte("1.5e3"))
	f.Add([]byte("-0.1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, ok := parseFloat(text)
		if !ok {
			return
		}
		out := formatFloat(x)
		if y, ok := parseFloat(out); !ok || strings.ContainsAny(string(out), "eE") || len(out) > 1 && out[len(out)-1] == '.' {
			t.Errorf("%q became %q, read as %v", text, out, y)
		}
	})
}

func incrFloat(t *testing.T, old string, delta float64) op.Result {
	v := viewtest.New()
	if _, err := v.Put(op.Key([]byte("k")), mvcc.Record{Type: mvcc.TypeString, Value: []byte(old)}); err != nil {
		t.Fatal(err)
	}
	return viewtest.Exec(t, v, &op.IncrFloat{Key: []byte("k"), Delta: delta}, Run)
}
