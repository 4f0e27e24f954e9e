package partition

import "sync/atomic"

// writing is the entry that is on its way into the log. The next one is made only when it is there: until then it could not be
// written anyhow, and what arrives meanwhile goes into it too. While an entry is applied, the next may be written.
type writing struct {
	data  *atomic.Pointer[byte] // of the entry; nil: none
	ended chan struct{}
}

func newWriting() writing { return writing{new(atomic.Pointer[byte]), make(chan struct{}, 1)} }

func (w writing) begin(data []byte) { w.data.Store(&data[0]) }

// end is told that an entry has been written, or has failed. Others than the one on its way are of no interest.
func (w writing) end(data []byte) {
	if len(data) > 0 && w.data.CompareAndSwap(&data[0], nil) {
		select {
		case w.ended <- struct{}{}:
		default:
		}
	}
}

// wait waits until no entry is on its way.
func (w writing) wait() {
	for w.data.Load() != nil {
		<-w.ended
	}
}
