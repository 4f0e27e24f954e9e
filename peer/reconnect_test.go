package peer

import (
	"errors"
	"sync/atomic"
	"testing"
)

// A node that belonged to no cluster was let in by everybody. Once it belongs to one, it connects anew, and those of others refuse it.
func TestConnectionsAreJudgedAnew(t *testing.T) {
	var joined atomic.Bool
	other := node(t, "b", newHandler(), cluster("one"))
	joining := node(t, "c", newHandler(), func(c *Config) {
		c.ClusterID = func() string {
			if joined.Load() {
				return "two"
			}
			return ""
		}
	})
	mustCall(t, joining, other.LocalAddr(), otherKind+"echo in", "in")
	mustCall(t, other, joining.LocalAddr(), otherKind+"echo in", "in")
	joined.Store(true)
	joining.Reconnect()
	for from, to := range map[*Network]*Network{joining: other, other: joining} {
		until(t, "a refusal", func() bool {
			_, err := from.Call(t.Context(), to.LocalAddr(), []byte(otherKind+"echo in"))
			return errors.As(err, new(ErrRefused))
		})
	}
}
