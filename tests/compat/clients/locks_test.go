package clients

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

// needScripts skips a test as long as the server has no EVAL.
func needScripts(t *testing.T, c *redis.Client) {
	t.Helper()
	err := c.Eval(t.Context(), "return 1", nil).Err()
	if err != nil && strings.Contains(err.Error(), "unknown command") {
		t.Skip("the server has no EVAL")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// count lets many take a lock by lock and add to a number by reading and writing it; unlock gives it back.
func count(t *testing.T, c *redis.Client, key string, lock func(context.Context) (unlock func() error, err error)) {
	t.Helper()
	const workers, times = 4, 10
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var joined sync.WaitGroup
	for range workers {
		joined.Go(func() {
			for range times {
				unlock, err := lock(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				n, err := c.Get(ctx, key).Int()
				if err != nil && !errors.Is(err, redis.Nil) {
					t.Error(err)
				}
				if err := c.Set(ctx, key, n+1, 0).Err(); err != nil {
					t.Error(err)
				}
				if err := unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	joined.Wait()
	if n, err := c.Get(ctx, key).Int(); err != nil || n != workers*times {
		t.Errorf("counted to %d, %v", n, err)
	}
}

func TestRedsync(t *testing.T) {
	ctx, c := t.Context(), connect(t)
	needScripts(t, c)
	rs := redsync.New(goredis.NewPool(c))
	m := rs.NewMutex("redsync:m", redsync.WithExpiry(time.Minute), redsync.WithTries(1))
	if err := m.LockContext(ctx); err != nil {
		t.Fatal(err)
	}
	var taken *redsync.ErrTaken
	if err := rs.NewMutex("redsync:m", redsync.WithExpiry(time.Minute), redsync.WithTries(1)).LockContext(ctx); !errors.As(err, &taken) {
		t.Errorf("a second lock gives %v", err)
	}
	if ok, err := m.ExtendContext(ctx); !ok || err != nil {
		t.Errorf("Extend gives %v, %v", ok, err)
	}
	if ok, err := m.UnlockContext(ctx); !ok || err != nil {
		t.Errorf("Unlock gives %v, %v", ok, err)
	}
	if ok, err := m.UnlockContext(ctx); ok || !errors.Is(err, redsync.ErrLockAlreadyExpired) {
		t.Errorf("a second Unlock gives %v, %v", ok, err)
	}
	count(t, c, "redsync:n", func(ctx context.Context) (func() error, error) {
		m := rs.NewMutex("redsync:c", redsync.WithExpiry(time.Minute), redsync.WithTries(10000), redsync.WithRetryDelay(2*time.Millisecond))
		return func() error { _, err := m.UnlockContext(ctx); return err }, m.LockContext(ctx)
	})
}

func TestRedislock(t *testing.T) {
	ctx, c := t.Context(), connect(t)
	needScripts(t, c)
	locks := redislock.New(c)
	l, err := locks.Obtain(ctx, "redislock:m", time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locks.Obtain(ctx, "redislock:m", time.Minute, nil); !errors.Is(err, redislock.ErrNotObtained) {
		t.Errorf("a second Obtain gives %v", err)
	}
	if ttl, err := l.TTL(ctx); err != nil || ttl <= 0 || ttl > time.Minute {
		t.Errorf("TTL gives %v, %v", ttl, err)
	}
	if err := l.Refresh(ctx, 2*time.Minute, nil); err != nil {
		t.Error(err)
	}
	if err := l.Release(ctx); err != nil {
		t.Error(err)
	}
	if err := l.Release(ctx); !errors.Is(err, redislock.ErrLockNotHeld) {
		t.Errorf("a second Release gives %v", err)
	}
	count(t, c, "redislock:n", func(ctx context.Context) (func() error, error) {
		l, err := locks.Obtain(ctx, "redislock:c", time.Minute, &redislock.Options{RetryStrategy: redislock.LinearBackoff(2 * time.Millisecond)})
		return func() error { return l.Release(ctx) }, err
	})
}
