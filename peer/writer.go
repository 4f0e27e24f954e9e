package peer

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// writer gathers frames and writes all that came up while the last write ran with one call. There is no delay: a frame that comes
// alone is written alone.
type writer struct {
	conn    net.Conn
	timeout time.Duration // without progress of a write
	maximum int           // bytes that may wait
	writes  *atomic.Uint64

	mu    sync.Mutex
	work  sync.Cond // there are bytes, or an error
	buf   []byte    // that wait
	spare []byte    // for the next buf
	err   error     // why nothing is written any more
}

const spareBytesMax = 1 << 20 // a larger buffer is not kept

func newWriter(conn net.Conn, l Limits, writes *atomic.Uint64) *writer {
	w := &writer{conn: conn, timeout: l.WriteTimeout, maximum: l.WriteBufferBytesMax, writes: writes}
	w.work.L = &w.mu
	return w
}

// send queues a frame and keeps neither prefix nor body. ErrBusy: too much waits already. Other errors: the connection has ended. In
// both cases nothing of the frame goes out.
func (w *writer) send(kind byte, id uint64, prefix, body []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if len(w.buf) > 0 && len(w.buf)+overheadBytes+len(prefix)+len(body) > w.maximum {
		return ErrBusy
	}
	if len(w.buf) == 0 {
		w.work.Signal()
	}
	w.buf = appendFrame(w.buf, kind, id, prefix, body)
	return nil
}

// run writes until an error, its own or that of fail, and returns it.
func (w *writer) run() error {
	for {
		w.await()
		runtime.Gosched() // whoever is about to send does it now: this is what makes one write of many frames
		b, err := w.take()
		if err != nil {
			return err
		}
		w.writes.Add(1)
		if err := writeAll(w.conn, b, w.timeout); err != nil {
			w.fail(err)
		}
		w.giveBack(b)
	}
}

// await waits until there is something to do.
func (w *writer) await() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.buf) == 0 && w.err == nil {
		w.work.Wait()
	}
}

func (w *writer) take() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	b := w.buf
	w.buf, w.spare = w.spare[:0], nil
	return b, nil
}

func (w *writer) giveBack(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cap(b) <= spareBytesMax {
		w.spare = b
	}
}

// fail ends the writer. The first error counts.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.work.Signal()
}

const pieceBytes = 256 << 10

// writeAll writes b. The other side has to take each piece of it within timeout, so that a slow one is not taken for a dead one.
func writeAll(conn net.Conn, b []byte, timeout time.Duration) error {
	for len(b) > 0 {
		if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		n, err := conn.Write(b[:min(len(b), pieceBytes)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
