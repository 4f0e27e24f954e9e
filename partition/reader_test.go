package partition

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"kahuna/op"
)

// A read that has begun before the state is replaced by another leader's is refused: the store may be half of each.
func TestReadAcrossARestore(t *testing.T) {
	c := &counterClock{}
	onReplica(t, c, func(t *testing.T, r *Replica) {
		r.awaitLead(t)
		if _, err := r.Write(t.Context(), setTo("a", "1")); err != nil {
			t.Fatal(err)
		}
		at, _ := c.Next(t.Context(), 2)
		r.floor.admit(at + 1) // holds the read until it ends
		read := make(chan error)
		go func() {
			_, err := r.Read(context.Background(), at, []op.Op{&op.Get{Key: []byte("a")}})
			read <- err
		}()
		synctest.Wait()
		var stream bytes.Buffer
		if _, err := r.machine.Snapshot(&stream); err != nil {
			t.Fatal(err)
		}
		if err := r.machine.Restore(&stream); err != nil {
			t.Fatal(err)
		}
		r.floor.end()
		if err := <-read; !errors.Is(err, ErrNotLeader) {
			t.Errorf("the read ends with %v", err)
		}
	})
}

// The same, with a replica that is removed meanwhile.
func TestReadAcrossARemoval(t *testing.T) {
	c := &counterClock{}
	onReplica(t, c, func(t *testing.T, r *Replica) {
		r.awaitLead(t)
		at, _ := c.Next(t.Context(), 2)
		r.floor.admit(at + 1) // holds the read until it ends
		read := make(chan error)
		go func() {
			_, err := r.Read(context.Background(), at, []op.Op{&op.Get{Key: []byte("a")}})
			read <- err
		}()
		synctest.Wait()
		r.machine.Leave()
		r.floor.end()
		if err := <-read; !errors.Is(err, ErrNotLeader) {
			t.Errorf("the read ends with %v", err)
		}
	})
}
