package commands

import (
	"context"

	"kahuna/resp"
)

// Refuse answers a command that never came, because it was too large to be taken. Inside MULTI it breaks the transaction.
func (s *Session) Refuse(ctx context.Context, err string, w *resp.Writer) {
	if s.multi != nil {
		s.multi.broken = true
	}
	x := &execution{ctx: ctx, w: w}
	s.add(x, request{err: err})
	s.flush(x)
}
