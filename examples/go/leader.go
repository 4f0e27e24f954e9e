package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const leaseLength = 6 * time.Second

// lead calls work while this machine leads, with a context that ends before the lease does and with the fencing token. It
// returns when ctx ends or work returns without having lost the lead. No two processes may use the same machine's name.
func lead(ctx context.Context, rdb *redis.Client, name, machine string, work func(ctx context.Context, token int64) error) error {
	for ctx.Err() == nil {
		asked := time.Now() // the lease counts from before the call
		// It waits for less than go-redis waits for an answer (3 s), and for a part of the lease only.
		token, err := rdb.Do(ctx, "LOCK", name, machine, leaseLength.Milliseconds(), "WAIT", 2000).Int64()
		if errors.Is(err, redis.Nil) {
			continue // another leads
		}
		if err != nil {
			pause(ctx, time.Second)
			continue // the same owner may always ask again
		}
		leading, lost := context.WithCancel(ctx)
		renewed := make(chan struct{})
		go func() {
			defer close(renewed)
			defer lost()
			renew(leading, rdb, name, machine, token, asked)
		}()
		err = work(leading, token)
		stillLeading := leading.Err() == nil
		lost()
		<-renewed
		rdb.Do(context.WithoutCancel(ctx), "UNLOCK", name, machine) // an error: it ends by itself
		if stillLeading || ctx.Err() != nil {
			return err
		}
	}
	return ctx.Err()
}

// renew returns when the lease was lost, or a second before it could be.
func renew(ctx context.Context, rdb *redis.Client, name, machine string, token int64, since time.Time) {
	for ctx.Err() == nil {
		call, cancel := context.WithDeadline(ctx, since.Add(leaseLength-time.Second))
		if pause(call, leaseLength/3) {
			asked := time.Now()
			got, err := rdb.Do(call, "LOCKEXTEND", name, machine, leaseLength.Milliseconds()).Int64()
			switch {
			case err == nil && got == token:
				since = asked
			case err == nil || errors.Is(err, redis.Nil): // another lease: it was lost in between
				cancel()
				return
			} // another error: try again while the lease lasts
		}
		ended := call.Err() != nil
		cancel()
		if ended {
			return
		}
	}
}

// pause waits; false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// errFenced says that a later leader has written already.
var errFenced = errors.New("fenced: a later leader has written")

// writeFenced is what a leader writes to: it refuses every token smaller than one it has seen. Here that is a pair of keys,
// compared and set in one transaction; it may be a database row or an object store just as well.
func writeFenced(ctx context.Context, rdb *redis.Client, key string, token int64, value string) error {
	for {
		err := rdb.Watch(ctx, func(tx *redis.Tx) error {
			seen, err := tx.Get(ctx, key+":token").Int64()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			if seen > token {
				return errFenced
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, key+":token", strconv.FormatInt(token, 10), 0)
				p.Set(ctx, key, value, 0)
				return nil
			})
			return err
		}, key+":token")
		if !errors.Is(err, redis.TxFailedErr) {
			return err
		}
	}
}

// runLeader leads until it is interrupted, and writes who it is.
func runLeader(ctx context.Context, rdb *redis.Client, args []string) error {
	name, machine := args[0], args[1]
	err := lead(ctx, rdb, "leader:"+name, machine, func(ctx context.Context, token int64) error {
		fmt.Println("leading")
		for {
			if err := writeFenced(ctx, rdb, "leader/"+name, token, machine); errors.Is(err, errFenced) {
				return err
			}
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
