package resp

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
)

func TestGolden(t *testing.T) {
	huge, _ := new(big.Int).SetString("-3492890328409238509324850943850943825024385", 10)
	tests := []struct {
		name       string
		write      func(w *Writer)
		two, three string
	}{
		{"status", func(w *Writer) { w.SimpleString("OK") }, "+OK\r\n", "+OK\r\n"},
		{"status with a line end", func(w *Writer) { w.SimpleString("a\r\nb") }, "+a  b\r\n", "+a  b\r\n"},
		{"error", func(w *Writer) { w.Error("ERR syntax error") }, "-ERR syntax error\r\n", "-ERR syntax error\r\n"},
		{"error with a line end", func(w *Writer) { w.Error("ERR a\r\n+OK") }, "-ERR a  +OK\r\n", "-ERR a  +OK\r\n"},
		{"int", func(w *Writer) { w.Int(7); w.Int(-1); w.Int(math.MinInt64) },
			":7\r\n:-1\r\n:-9223372036854775808\r\n", ":7\r\n:-1\r\n:-9223372036854775808\r\n"},
		{"uint", func(w *Writer) { w.Uint(math.MaxUint64) }, ":18446744073709551615\r\n", ":18446744073709551615\r\n"},
		{"bulk", func(w *Writer) { w.Bulk([]byte("a\r\nb")); w.Bulk(nil) }, "$4\r\na\r\nb\r\n$0\r\n\r\n", "$4\r\na\r\nb\r\n$0\r\n\r\n"},
		{"bulk string", func(w *Writer) { w.BulkString("twelve bytes") }, "$12\r\ntwelve bytes\r\n", "$12\r\ntwelve bytes\r\n"},
		{"null", func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n"},
		{"null array", func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n"},
		{"array", func(w *Writer) { w.Array(0); w.Array(10) }, "*0\r\n*10\r\n", "*0\r\n*10\r\n"},
		{"map", func(w *Writer) { w.Map(1); w.BulkString("a"); w.Int(1) }, "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"},
		{"large map", func(w *Writer) { w.Map(7) }, "*14\r\n", "%7\r\n"},
		{"set", func(w *Writer) { w.Set(2) }, "*2\r\n", "~2\r\n"},
		{"push", func(w *Writer) { w.Push(3) }, "*3\r\n", ">3\r\n"},
		{"true", func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n"},
		{"false", func(w *Writer) { w.Bool(false) }, ":0\r\n", "#f\r\n"},
		{"double", func(w *Writer) { w.Double(3.25) }, "$4\r\n3.25\r\n", ",3.25\r\n"},
		{"infinity", func(w *Writer) { w.Double(math.Inf(1)) }, "$3\r\ninf\r\n", ",inf\r\n"},
		{"minus infinity", func(w *Writer) { w.Double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"not a number", func(w *Writer) { w.Double(math.NaN()) }, "$3\r\nnan\r\n", ",nan\r\n"},
		{"verbatim", func(w *Writer) { w.Verbatim("txt", "Some string") }, "$11\r\nSome string\r\n", "=15\r\ntxt:Some string\r\n"},
		{"big number", func(w *Writer) { w.BigNumber(huge) },
			"$44\r\n-3492890328409238509324850943850943825024385\r\n", "(-3492890328409238509324850943850943825024385\r\n"},
		{"raw", func(w *Writer) { w.Raw([]byte("+PONG\r\n")) }, "+PONG\r\n", "+PONG\r\n"},
	}
	for _, tt := range tests {
		for version, want := range map[int]string{RESP2: tt.two, RESP3: tt.three} {
			var w Writer
			w.SetProto(version)
			tt.write(&w)
			if got := string(w.Bytes()); got != want {
				t.Errorf("%s in RESP%d: got %q, want %q", tt.name, version, got, want)
			}
		}
	}
}

func TestDoubleLayout(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 1: "1", -1.5: "-1.5", 0.1: "0.1", 100: "100", 1e7: "10000000", 1e8: "1e+8", 123456789: "123456789",
		1e-6: "0.000001", 1e-7: "1e-7", 1.5e-7: "1.5e-7", math.Pi: "3.141592653589793", 12345.678: "12345.678",
		12345.678901234567: "1.2345678901234567e+4", 1e100: "1e+100", 5e-324: "5e-324",
		math.MaxFloat64: "1.7976931348623157e+308", 0.0001: "0.0001", 12e10: "1.2e+11",
	} {
		if got := string(appendDouble(nil, value)); got != want {
			t.Errorf("%g: got %q, want %q", value, got, want)
		}
	}
	if got := string(appendDouble(nil, math.Copysign(0, -1))); got != "-0" {
		t.Errorf("minus zero: got %q", got)
	}
}

func FuzzDoubleReadsBack(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 1e22, 1e-9, 12345.678901234567, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value float64) {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return
		}
		text := string(appendDouble(nil, value))
		got, err := strconv.ParseFloat(text, 64)
		if err != nil || math.Float64bits(got) != math.Float64bits(value) {
			t.Fatalf("%x: written %q, reads back as %x (%v)", value, text, got, err)
		}
		if len(text) > 25 {
			t.Fatalf("%x: %q is longer than needed", value, text)
		}
	})
}

func TestWriterBuffer(t *testing.T) {
	var w Writer
	if w.Proto() != RESP2 {
		t.Fatalf("a new Writer speaks %d", w.Proto())
	}
	w.SetProto(RESP3)
	w.SimpleString("OK")
	mark := w.Len()
	w.Array(2)
	w.Int(1)
	w.Truncate(mark)
	w.Error("ERR half-way")
	if got := string(w.Bytes()); got != "+OK\r\n-ERR half-way\r\n" {
		t.Fatalf("after Truncate: %q", got)
	}
	w.Reset()
	if w.Len() != 0 || w.Cap() == 0 || w.Proto() != RESP3 {
		t.Fatalf("Reset keeps buffer and version, got len %d, cap %d, version %d", w.Len(), w.Cap(), w.Proto())
	}
	w.Release()
	if w.Cap() != 0 || w.Proto() != RESP3 {
		t.Fatalf("Release keeps only the version, got cap %d, version %d", w.Cap(), w.Proto())
	}
}

func TestMisusePanics(t *testing.T) {
	for name, misuse := range map[string]func(w *Writer){
		"truncate beyond the end": func(w *Writer) { w.SimpleString("OK"); w.Truncate(w.Len() + 1) },
		"verbatim format":         func(w *Writer) { w.Verbatim("text", "x") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: did not panic", name)
				}
			}()
			misuse(new(Writer))
		}()
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	var w Writer
	value := []byte(strings.Repeat("v", 128))
	for _, version := range []int{RESP2, RESP3} {
		w.SetProto(version)
		allocs := testing.AllocsPerRun(100, func() {
			w.Reset()
			w.Map(3)
			w.Bulk(value)
			w.Double(1.0 / 3)
			w.Null()
			w.Int(1 << 60)
			w.Error("ERR no")
		})
		if allocs != 0 {
			t.Errorf("RESP%d: %v allocations", version, allocs)
		}
	}
}
