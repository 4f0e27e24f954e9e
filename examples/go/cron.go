package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// once does the work of one period on one machine: who gets the lock looks whether it is done, does it, and notes that. Work
// that fails is not noted, so another machine may try.
func once(ctx context.Context, rdb *redis.Client, name, period, machine string, work func(context.Context) error) error {
	const longest = time.Minute // that the work may take; for work without such a bound renew the lock, as lead does
	lock, done := "cron:"+name, "cron/"+name+"/"+period
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	err := rdb.Do(ctx, "LOCK", lock, machine, longest.Milliseconds()).Err()
	if errors.Is(err, redis.Nil) {
		return nil // another machine is at it
	}
	defer rdb.Do(context.WithoutCancel(ctx), "UNLOCK", lock, machine)
	if err != nil {
		return err
	}
	if n, err := rdb.Exists(ctx, done).Result(); err != nil || n > 0 {
		return err
	}
	if err := work(ctx); err != nil {
		return err
	}
	return rdb.Set(ctx, done, machine, 48*time.Hour).Err()
}

func runCron(ctx context.Context, rdb *redis.Client, args []string) error {
	return once(ctx, rdb, args[0], args[1], args[2], func(context.Context) error {
		fmt.Println("ran on", args[2])
		return nil
	})
}
