package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// flag is a feature flag as this process last saw it. With no server in reach it stays as it was.
type flag struct {
	on       bool
	revision int64
}

// refresh reads a flag and tells whether it was written since. One that nobody has set is off.
func (f *flag) refresh(ctx context.Context, rdb *redis.Client, name string) (changed bool, err error) {
	meta, err := rdb.Do(ctx, "KGET", "flag/"+name, "META").Result()
	if errors.Is(err, redis.Nil) {
		meta, err = map[any]any{"value": "off", "revision": int64(0)}, nil
	}
	if err != nil {
		return false, err
	}
	m, ok := meta.(map[any]any) // what a map is in RESP3, which go-redis speaks
	if !ok {
		return false, fmt.Errorf("KGET answered %v", meta)
	}
	revision, _ := m["revision"].(int64)
	changed = revision != f.revision
	f.on, f.revision = m["value"] == "on", revision
	return changed, nil
}

// runFlags prints a flag whenever it changes, until it is interrupted.
func runFlags(ctx context.Context, rdb *redis.Client, args []string) error {
	f := flag{revision: -1}
	for {
		changed, err := f.refresh(ctx, rdb, args[0])
		if err == nil && changed {
			fmt.Println("on:", f.on)
		}
		if !pause(ctx, 200*time.Millisecond) {
			return nil
		}
	}
}
