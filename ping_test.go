package main

import (
	"io"
	"net"
	"strings"
	"testing"
)

func TestPing(t *testing.T) {
	tests := map[string]struct {
		answer string // "-" none, but the connection stays open
		code   int
		says   string
	}{
		"alive":           {"+PONG\r\n", 0, "PONG\n"},
		"an error":        {"-LOADING not yet\r\n", exitUnavailable, "LOADING not yet"},
		"another server":  {"HTTP/1.1 400 Bad Request\r\n", exitUnavailable, "not of the Redis protocol: \"HTTP/1.1 400"},
		"closes":          {"", exitUnavailable, "the server ended the connection: EOF"},
		"silent":          {"-", exitUnavailable, "i/o timeout"},
		"never ends line": {strings.Repeat("x", 1<<17), exitUnavailable, "the answer is not of the Redis protocol"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			addr := answering(t, test.answer)
			timeout := patience.String()
			if test.answer == "-" {
				timeout = "20ms"
			}
			code, out, log := command(nil, "ping", "--addr", addr, "--timeout", timeout)
			if code != test.code || !strings.Contains(out+log, test.says) {
				t.Errorf("exit %d, printed %q, logged %q", code, out, log)
			}
		})
	}
}

// answering is the address of a server that answers one command so.
func answering(t *testing.T, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.ReadFull(c, make([]byte, len("*1\r\n$4\r\nPING\r\n")))
		if answer == "-" {
			io.Copy(io.Discard, c) // until the client goes
			return
		}
		io.WriteString(c, answer)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestPingFindsItsServer(t *testing.T) {
	addr := answering(t, "+PONG\r\n")
	_, port, _ := net.SplitHostPort(addr)
	env := []string{"KAHUNA_PARTITIONS=nonsense", "KAHUNA_LISTEN=0.0.0.0:" + port}
	if code, out, log := command(env, "ping"); code != 0 || out != "PONG\n" {
		t.Errorf("exit %d, printed %q, logged %q", code, out, log)
	}
	const nobody = "127.0.0.1:1" // no process is given so low a port for one that is free
	if code, _, log := command(nil, "ping", "--addr", nobody); code != exitUnavailable || !strings.Contains(log, "refused") {
		t.Errorf("nobody there: exit %d, logged %q", code, log)
	}
	for addr, want := range map[string]string{":1": "127.0.0.1:1", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "h:1": "h:1"} {
		if got := reachable(addr); got != want {
			t.Errorf("%s is reached at %s, want %s", addr, got, want)
		}
	}
}
