package partition

import (
	"testing"
	"testing/synctest"
)

// The next entry waits for the one that is on its way, and for no other; it is told of that one's end however often it comes.
func TestWritingWaitsForItsEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriting()
		w.wait() // nothing is on its way
		for range 3 {
			mine, other := []byte("mine"), []byte("other")
			w.begin(mine)
			passed := make(chan struct{})
			go func() { w.wait(); close(passed) }()
			w.end(other)
			w.end(nil)
			synctest.Wait()
			select {
			case <-passed:
				t.Fatal("another entry's end was taken for this one's")
			default:
			}
			w.end(mine) // written
			w.end(mine) // and applied
			<-passed
		}
	})
}
