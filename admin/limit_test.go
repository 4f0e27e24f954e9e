package admin

import (
	"net"
	"testing"
	"testing/synctest"
)

// With one slot the second connection is accepted only after the first was closed; closing it twice frees one slot only.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &scripted{conns: make(chan net.Conn, 3), closed: make(chan struct{})}
		for range 3 {
			here, there := net.Pipe()
			defer there.Close()
			inner.conns <- here
		}
		l := limit(inner, 1)
		accepted := make(chan net.Conn, 3)
		go func() {
			defer close(accepted)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				accepted <- c
			}
		}()
		synctest.Wait()
		for opened := 1; opened <= 2; opened++ {
			if got := 3 - len(inner.conns); got != opened {
				t.Fatalf("%d connections were accepted, want %d", got, opened)
			}
			c := <-accepted
			c.Close()
			c.Close()
			synctest.Wait()
		}
		l.Close()
		synctest.Wait()
		for range accepted { // ends, as Accept has
		}
	})
}

// scripted is a listener whose connections are given.
type scripted struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
}

func (s *scripted) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *scripted) Close() error {
	close(s.closed)
	return nil
}
