package server

import (
	"time"

	"github.com/rs/zerolog"
)

// Config are the server's settings. A field that is 0 has the default named with it; a negative time turns that limit
// off.
type Config struct {
	Logger zerolog.Logger

	// Refuse gives the error that a client from an address is told instead of being served, without the dash; empty: it is
	// served. It is asked once, before anything is read. nil: all are served.
	Refuse func(remote string) string

	MaxClients        int           // connections at once, both ports together; 10,000
	MaxRequestBytes   int           // one command on the wire; 16 MiB
	InputBytesMax     int64         // input buffers of all connections together; 1 GiB
	OutputBufferBytes int           // replies of one connection not yet sent; 256 MiB
	PushBufferBytes   int           // pushed data of one connection not yet sent; 32 MiB
	IdleTimeout       time.Duration // a connection that sends nothing is closed; off
	AuthTimeout       time.Duration // from connecting to being authenticated, a TLS handshake included; 10 s
	FrameTimeout      time.Duration // for a begun command to arrive, plus a second per 16 KiB of it; 60 s
	WriteTimeout      time.Duration // for the client to take a further MiB of replies; 60 s
	KeepAlive         time.Duration // TCP keepalive; 300 s
}

// FlushBytes is the size of unsent replies at which a session should flush in the middle of a batch, so that a batch
// of large replies does not cost its whole size in memory.
const FlushBytes = 256 << 10

func (c Config) settled() Config {
	orDefault(&c.MaxClients, 10_000)
	orDefault(&c.MaxRequestBytes, 16<<20)
	orDefault(&c.InputBytesMax, 1<<30)
	orDefault(&c.OutputBufferBytes, 256<<20)
	orDefault(&c.PushBufferBytes, 32<<20)
	orDefault(&c.AuthTimeout, 10*time.Second)
	orDefault(&c.FrameTimeout, time.Minute)
	orDefault(&c.WriteTimeout, time.Minute)
	orDefault(&c.KeepAlive, 5*time.Minute)
	return c
}

func orDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
