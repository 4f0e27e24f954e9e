package script

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what scripts may take. A zero field means its default.
type Limits struct {
	ScriptBytes int           // of the text of one script
	Steps       int64         // of one run: instructions and what counts as some
	Time        time.Duration // of one run
	MemoryBytes int64         // allocated by one run, garbage included
	TotalBytes  int64         // allocated by all that run at a time
	ReplyBytes  int           // of the reply of one script
}

var defaultLimits = Limits{
	ScriptBytes: 1 << 20,
	Steps:       50_000_000,
	Time:        time.Second,
	MemoryBytes: 64 << 20,
	TotalBytes:  512 << 20,
	ReplyBytes:  64 << 20,
}

func (l Limits) withDefaults() Limits {
	d := defaultLimits
	if l.ScriptBytes > 0 {
		d.ScriptBytes = l.ScriptBytes
	}
	if l.Steps > 0 {
		d.Steps = l.Steps
	}
	if l.Time > 0 {
		d.Time = l.Time
	}
	if l.MemoryBytes > 0 {
		d.MemoryBytes = l.MemoryBytes
	}
	if l.TotalBytes > 0 {
		d.TotalBytes = l.TotalBytes
	}
	if l.ReplyBytes > 0 {
		d.ReplyBytes = l.ReplyBytes
	}
	return d
}

// ErrLimit is what a run's error wraps when the script passed a limit or was killed. Its text is fit for the script's user.
var ErrLimit = errors.New("script stopped")

func limitError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))
}
