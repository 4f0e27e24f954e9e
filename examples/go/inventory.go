package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

var errSoldOut = errors.New("sold out")

// reserve takes n pieces of an article out of stock for an order. Stock and reservation change in one transaction, and an
// order that has its reservation keeps it: so this may be called again when its end is not known.
func reserve(ctx context.Context, rdb *redis.Client, article, order string, n int64) error {
	stock, reservation := "stock/"+article, "reserved/"+article+"/"+order
	return transact(ctx, rdb, func(tx *redis.Tx) error {
		if had, err := tx.Exists(ctx, reservation).Result(); err != nil || had > 0 {
			return err
		}
		if left, err := tx.Get(ctx, stock).Int64(); err != nil {
			return err
		} else if left < n {
			return errSoldOut
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.DecrBy(ctx, stock, n)
			p.Set(ctx, reservation, n, 0)
			return nil
		})
		return err
	}, stock, reservation)
}

// cancelOrder puts back what an order has reserved, once.
func cancelOrder(ctx context.Context, rdb *redis.Client, article, order string) error {
	stock, reservation := "stock/"+article, "reserved/"+article+"/"+order
	return transact(ctx, rdb, func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, reservation).Int64()
		if errors.Is(err, redis.Nil) {
			return nil
		} else if err != nil {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.IncrBy(ctx, stock, n)
			p.Del(ctx, reservation)
			return nil
		})
		return err
	}, stock, reservation)
}

// transact runs again what lost to another transaction and changed nothing.
func transact(ctx context.Context, rdb *redis.Client, do func(*redis.Tx) error, keys ...string) error {
	for {
		err := rdb.Watch(ctx, do, keys...)
		if err == nil || !errors.Is(err, redis.TxFailedErr) && !strings.HasPrefix(err.Error(), "CONFLICT") {
			return err
		}
	}
}

func runReserve(ctx context.Context, rdb *redis.Client, args []string) error {
	n, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a number of pieces", args[1])
	}
	return reserve(ctx, rdb, args[0], args[2], n)
}

func runCancel(ctx context.Context, rdb *redis.Client, args []string) error {
	return cancelOrder(ctx, rdb, args[0], args[1])
}
