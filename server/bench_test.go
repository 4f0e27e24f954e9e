package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"kahuna/resp"
)

var pong = []byte("PONG")

func benchHandler() *funcHandler {
	return &funcHandler{serve: func(_ *funcSession, _ context.Context, cmds []Command, w *resp.Writer) bool {
		for range cmds {
			w.Bulk(pong)
		}
		return true
	}}
}

const benchCommand = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$5\r\nvalue\r\n"

// BenchmarkConnection counts per command, over loopback TCP, the client included.
func BenchmarkConnection(b *testing.B) {
	for _, depth := range []int{1, 16} {
		b.Run(fmt.Sprintf("pipeline=%d", depth), func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			r := start(Config{}, benchHandler(), ln)
			defer func() { r.Shutdown(context.Background()); <-r.served }()
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			in, out := []byte(strings.Repeat(benchCommand, depth)), make([]byte, depth*len("$4\r\nPONG\r\n"))
			rd := bufio.NewReader(nc)
			b.ReportAllocs()
			for i := 0; i < b.N; i += depth {
				nc.Write(in)
				if _, err := io.ReadFull(rd, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse counts per command what the guard and the decoding take.
func BenchmarkParse(b *testing.B) {
	for _, depth := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("pipeline=%d", depth), func(b *testing.B) {
			in := strings.Repeat(benchCommand, depth)
			var g guard
			var bt batch
			l := Limits{}.settled(1 << 20)
			rd := strings.NewReader("")
			b.ReportAllocs()
			for i := 0; i < b.N; {
				rd.Reset(in)
				for rd.Len() > 0 {
					g.fill(rd)
					g.scan(&l)
					i += len(bt.take(&g))
					g.release()
				}
			}
		})
	}
}
