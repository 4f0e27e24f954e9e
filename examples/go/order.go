package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// invoiceNumber gives an order its number: in order, without gaps, and the same one however often it is asked for. So it is
// asked again after any error that is not the server's clear refusal.
func invoiceNumber(ctx context.Context, rdb *redis.Client, order string) (int64, error) {
	for {
		n, err := rdb.Do(ctx, "SEQNEXT", "invoices", "IDEM", order).Int64()
		if err == nil || strings.HasPrefix(err.Error(), "ERR ") || !pause(ctx, 100*time.Millisecond) {
			return n, err
		}
	}
}

func runOrder(ctx context.Context, rdb *redis.Client, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	n, err := invoiceNumber(ctx, rdb, args[0])
	if err == nil {
		fmt.Println(n)
	}
	return err
}
