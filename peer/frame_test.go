package peer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

func decodeAll(b []byte, maximum int) (frames []frame, err error) {
	r := frameReader{src: bufio.NewReaderSize(bytes.NewReader(b), 4096), max: maximum}
	for {
		f, err := r.next(nil)
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

func TestFramesRoundTrip(t *testing.T) {
	var b []byte
	sizes := []int{0, 1, 4095, stepBytes - 1, stepBytes, stepBytes + 1, 5 * stepBytes}
	for i, n := range sizes {
		b = appendFrame(b, byte(i), uint64(i)<<60, randomBytes(n)[:n/2], randomBytes(n)[n/2:])
	}
	for name, src := range map[string]io.Reader{"whole": bytes.NewReader(b), "bytewise": iotest.OneByteReader(bytes.NewReader(b))} {
		r := frameReader{src: bufio.NewReader(src), max: 1 << 20}
		for i, n := range sizes {
			f, err := r.next(nil)
			if err != nil || f.kind != byte(i) || f.id != uint64(i)<<60 || !bytes.Equal(f.payload, randomBytes(n)) {
				t.Fatal(name, i, err)
			}
		}
		if _, err := r.next(nil); err != io.EOF {
			t.Fatal(name, err)
		}
	}
}

func TestEveryDamageIsSeen(t *testing.T) {
	whole := appendFrame(nil, kindRequest, 7, []byte("abcd"), []byte("payload"))
	for at := range len(whole) {
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << bit
			if frames, err := decodeAll(damaged, 1<<20); len(frames) > 0 || err == io.EOF {
				t.Fatalf("byte %d bit %d: %v", at, bit, err)
			}
		}
		if frames, err := decodeAll(whole[:at], 1<<20); len(frames) > 0 || at > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal("cut at", at, err)
		}
	}
	if _, err := decodeAll(whole, len(whole)-1); !errors.Is(err, errMalformed) {
		t.Fatal("beyond the limit:", err)
	}
	if frames, _ := decodeAll(whole, len(whole)); len(frames) != 1 {
		t.Fatal("at the limit")
	}
}

func TestDeclaredSizeClaimsNoMemory(t *testing.T) {
	header := []byte{0xf0, 0xff, 0xff, 0x3f, kindRequest, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		if _, err := decodeAll(header, frameBytesTop); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 20*stepBytes {
		t.Fatal(n, "bytes")
	}
}

func TestReadingIntoABuffer(t *testing.T) {
	b := appendFrame(appendFrame(nil, kindData, 1, nil, []byte("12345")), kindData, 1, nil, []byte("123"))
	r := frameReader{src: bufio.NewReader(bytes.NewReader(b)), max: 1 << 10}
	buf := make([]byte, 4)
	first, err := r.next(buf)
	if err != nil || string(first.payload) != "12345" {
		t.Fatal(err)
	}
	second, err := r.next(buf)
	if err != nil || string(second.payload) != "123" || &second.payload[0] != &buf[0] {
		t.Fatal(err)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, kindRequest, 1, []byte("abcd"), nil), kindCancel, 2, nil, nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(appendFrame(nil, kindEnd, 1, nil, make([]byte, 300)))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := decodeAll(b, 1<<20)
		if err == nil {
			t.Fatal("no end")
		}
		var again []byte
		for _, f := range frames {
			again = appendFrame(again, f.kind, f.id, nil, f.payload)
		}
		if !bytes.HasPrefix(b, again) || err == io.EOF && len(again) != len(b) {
			t.Fatal("what was read is not what was there")
		}
	})
}
