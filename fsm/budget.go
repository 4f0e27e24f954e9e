package fsm

import (
	"errors"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// What entries may write, so that they always fit a storage batch. A few bytes of log can make megabytes of writes: an
// expiry that is set on a large value, a page of deletions. So it is judged where the operations run, by a count that is the
// same on every replica: of the entry alone, whatever else shares its batch.
//
// An entry takes part in a batch as long as that has less than batchBytesMax and batchKeysMax, and adds at most
// entryWriteBytesMax, in keys of at least mvcc.RowBytes by this count. The largest value fits an entry.
const (
	batchBytesMax      = 512 << 10
	batchKeysMax       = 4096
	entryWriteBytesMax = 4<<20 + 256<<10
)

// entryBatch is a storage batch as the operations of one entry see it.
type entryBatch struct {
	*storage.Batch
	cache *recordCache
	bytes int
}

func (b *entryBatch) Get(key []byte) ([]byte, bool, error) { return b.cache.read(b.Batch, key) }

func (b *entryBatch) Set(key, value []byte) {
	b.cache.wrote(key, value, true)
	b.bytes += len(key) + len(value) + mvcc.RowBytes
	b.Batch.Set(key, value)
}

func (b *entryBatch) Delete(key []byte) {
	b.cache.wrote(key, nil, false)
	b.bytes += len(key) + mvcc.RowBytes
	b.Batch.Delete(key)
}

func (b *entryBatch) fits(bytes int) bool { return b.bytes+bytes <= entryWriteBytesMax }

// bounded turns ErrNoRoom to a result: an operation that comes after others in the entry is sent again, and one that does not
// even fit alone never will.
func (b *entryBatch) bounded(r op.Result, err error) (op.Result, error) {
	switch {
	case !errors.Is(err, mvcc.ErrNoRoom):
		return r, err
	case b.bytes > 0:
		return op.Result{Status: op.Again}, nil
	}
	return op.Result{Status: op.TooLarge}, nil
}
