package server

import "sync/atomic"

// budget bounds the bytes that all input buffers hold together.
type budget struct {
	max  int64
	used atomic.Int64
}

// take claims n bytes, or gives back -n. It claims nothing and returns false when that would go above the bound.
func (b *budget) take(n int) bool {
	if b == nil {
		return true
	}
	if b.used.Add(int64(n)) > b.max && n > 0 {
		b.used.Add(int64(-n))
		return false
	}
	return true
}
