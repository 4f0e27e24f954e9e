package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

const entryLife = 10 * time.Second

// register keeps an entry for an instance of a service until ctx ends. It ends by itself when nobody renews it.
func register(ctx context.Context, rdb *redis.Client, service, address string) {
	key := "service/" + service + "/" + address
	for {
		if err := rdb.Set(ctx, key, address, entryLife).Err(); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "not renewed, trying again:", err)
		}
		if !pause(ctx, entryLife/3) {
			rdb.Del(context.WithoutCancel(ctx), key) // an error: it ends by itself
			return
		}
	}
}

// discover gives the addresses of all instances at one point in time: further pages are read as of the first one's.
func discover(ctx context.Context, rdb *redis.Client, service string) (addresses []string, err error) {
	at, err := rdb.Do(ctx, "TIMESTAMP").Int64()
	if err != nil {
		return nil, err
	}
	prefix := "service/" + service + "/"
	after := ""
	for {
		call := []any{"KPREFIX", prefix, "LIMIT", 100, "ASOF", at}
		if after != "" {
			call = append(call, "AFTER", after)
		}
		page, err := rdb.Do(ctx, call...).Slice()
		if err != nil {
			return nil, err
		}
		for _, item := range page[1].([]any) {
			addresses = append(addresses, item.([]any)[1].(string)) // key, value, revision
		}
		if page[0] == nil {
			return addresses, nil
		}
		after = page[0].(string)
	}
}

func runRegister(ctx context.Context, rdb *redis.Client, args []string) error {
	register(ctx, rdb, args[0], args[1])
	return nil
}

func runDiscover(ctx context.Context, rdb *redis.Client, args []string) error {
	addresses, err := discover(ctx, rdb, args[0])
	for _, a := range addresses {
		fmt.Println(a)
	}
	return err
}
