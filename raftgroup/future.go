package raftgroup

import (
	"context"
	"errors"
	"reflect"
	"sync"

	"github.com/hashicorp/raft"
)

// paths caches where the field ShutdownCh is, by type of future.
var paths sync.Map

// bind makes a future's Error return raft.ErrRaftShutdown once done is closed. hashicorp/raft leaves futures without an answer
// when it is shut down while they wait for the state machine, and has no other way to stop waiting for one. The field is
// exported, but only its types are not; it is read by Error alone, so that it may be set until then. Futures that bear their error
// already have no such field.
func bind(f raft.Future, done chan struct{}) {
	if !enqueued(f) {
		return
	}
	v := reflect.ValueOf(f).Elem()
	path, ok := paths.Load(v.Type())
	if !ok {
		field, ok := v.Type().FieldByName("ShutdownCh")
		if !ok {
			return
		}
		path, _ = paths.LoadOrStore(v.Type(), field.Index)
	}
	v.FieldByIndex(path.([]int)).Set(reflect.ValueOf(done))
}

// enqueued tells a future that Raft's main loop has taken from one that was born with its error.
func enqueued(f raft.Future) bool { return reflect.ValueOf(f).Kind() == reflect.Pointer }

// await waits for a future, until ctx or the instance ends. Then the error is raft.ErrRaftShutdown, joined with that of ctx, and
// the future must not be looked at any more.
func await(ctx context.Context, inst *instance, f raft.Future) error {
	if ctx.Done() == nil {
		bind(f, inst.dead)
		return f.Error()
	}
	done := make(chan struct{})
	end := sync.OnceFunc(func() { close(done) })
	defer context.AfterFunc(ctx, end)()
	defer context.AfterFunc(inst.ctx, end)()
	bind(f, done)
	err := f.Error()
	if err != nil && ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	return err
}
