package resp

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadReplies(t *testing.T) {
	in := "+OK\r\n-ERR no\r\n:42\r\n:-7\r\n$5\r\nhe\r\no\r\n$0\r\n\r\n$-1\r\n*2\r\n:1\r\n+x\r\n*-1\r\n*0\r\n"
	want := []string{`+"OK"`, `-"ERR no"`, "(integer) 42", "(integer) -7", `$"he\r\no"`, `$""`, "(nil)",
		"(array of 2)", "(integer) 1", `+"x"`, "(nil)", "(array of 0)"}
	rd := NewReader(strings.NewReader(in))
	var r Reply
	for i, w := range want {
		if err := rd.Read(&r); err != nil || r.String() != w {
			t.Fatalf("reply %d: %s, %v; want %s", i, &r, err, w)
		}
	}
	if err := rd.Read(&r); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

func TestBrokenRepliesAreErrors(t *testing.T) {
	protocol := []string{"\r\n", "\n\n\n", "OK\r\n", ":\r\n", ":1x\r\n", ":-\r\n", ":9999999999999999999\r\n", "$-2\r\n",
		"$99999999999\r\n", "*99999999999\r\n", "$2\r\nabcd", "+" + strings.Repeat("a", readBufferBytes) + "\r\n"}
	for _, in := range protocol {
		var r Reply
		if err := NewReader(strings.NewReader(in)).Read(&r); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.40q: %v, want ErrProtocol", in, err)
		}
	}
	for _, in := range []string{"", "+OK", "$5\r\nab"} {
		var r Reply
		if err := NewReader(strings.NewReader(in)).Read(&r); err == nil {
			t.Errorf("%q: cut off, but no error", in)
		}
	}
}

func TestAppendCommand(t *testing.T) {
	got := AppendCommand([]byte("x"), []byte("SET"), []byte("k"), nil)
	if want := "x*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadDoesNotAllocatePerReply(t *testing.T) {
	one := "$128\r\n" + strings.Repeat("v", 128) + "\r\n:12345\r\n+OK\r\n"
	const runs = 200
	rd := NewReader(strings.NewReader(strings.Repeat(one, runs+2)))
	var r Reply
	allocs := testing.AllocsPerRun(runs, func() {
		for range 3 {
			if err := rd.Read(&r); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for three replies, want none", allocs)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n$-1\r\n", "-ERR\r\n", ":-9\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		rd := NewReader(strings.NewReader(string(in)))
		var r Reply
		for replies := 0; rd.Read(&r) == nil; replies++ {
			if replies > len(in) {
				t.Fatal("more replies than bytes")
			}
		}
	})
}
