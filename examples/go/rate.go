package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// allow counts a call and tells whether it is within the limit of its window. The counter and its expiry are made in one
// transaction, so no counter is ever left without an end.
func allow(ctx context.Context, rdb *redis.Client, name string, limit int64, window time.Duration) (bool, error) {
	var count *redis.IntCmd
	_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.SetNX(ctx, "rate:"+name, 0, window)
		count = p.Incr(ctx, "rate:"+name)
		return nil
	})
	return err == nil && count.Val() <= limit, err
}

func runRate(ctx context.Context, rdb *redis.Client, args []string) error {
	limit, err1 := strconv.ParseInt(args[1], 10, 64)
	seconds, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	ok, err := allow(ctx, rdb, args[0], limit, time.Duration(seconds)*time.Second)
	if err == nil {
		fmt.Println(ok)
	}
	return err
}
