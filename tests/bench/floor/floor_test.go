package floor

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	r, err := Measure(t.Context(), t.TempDir(), 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]Figure{"sync": r.Sync, "loopback": r.Loopback} {
		if f.PerSecond <= 0 || f.P50Us <= 0 || f.P99Us < f.P50Us {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestMeasureEndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(ctx, t.TempDir(), time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
