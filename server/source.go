package server

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// source reads a connection. Where the connection is a socket, one that is silent holds no buffer: a small one is taken when there is
// something to be read, in the very system call that reads it.
type source struct {
	nc   net.Conn
	raw  syscall.RawConn // nil: not a socket that this process reads by itself, as under TLS
	try  func(fd uintptr) (done bool)
	page *page
	n    int
	err  error
}

// page is the buffer of a connection that has little to say.
type page [inputBytesMin]byte

var pages = sync.Pool{New: func() any { return new(page) }}

func (s *source) init(nc net.Conn) {
	s.nc = nc
	socket, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	s.raw, s.try = raw, s.attempt
}

// Read reads into a buffer that is there.
func (s *source) Read(b []byte) (int, error) { return s.nc.Read(b) }

// readPage waits until there is something to be read, and reads it into a buffer of its own; nil when nothing was read.
func (s *source) readPage() (p *page, n int, err error) {
	s.page, s.n, s.err = nil, 0, nil
	if err = s.raw.Read(s.try); err == nil {
		err = s.err
	}
	p, s.page = s.page, nil
	return p, s.n, err
}

// attempt reads the socket, which does not block. Not done: there is nothing to be read yet.
func (s *source) attempt(fd uintptr) (done bool) {
	p := pages.Get().(*page)
	for {
		n, err := syscall.Read(int(fd), p[:])
		switch {
		case err == syscall.EINTR:
			continue
		case n > 0:
			s.page, s.n = p, n
			return true
		}
		pages.Put(p)
		switch {
		case err == syscall.EAGAIN:
			return false
		case err == nil:
			err = io.EOF
		}
		s.err = err
		return true
	}
}
