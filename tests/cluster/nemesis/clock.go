package nemesis

import (
	"fmt"
	"strconv"
	"time"
)

// jump sets a node's wall clock, and waits until the node says so, if it runs and answers.
func (n *Nemesis) jump(i int, off time.Duration) error {
	if err := n.SetClock(i, off); err != nil {
		return err
	}
	if !n.Running(i) || n.Stopped(i) {
		return nil
	}
	return n.Await(RecoverMax, func() error {
		r, err := n.Do(i, 2*time.Second, "TIME")
		if err != nil {
			return err
		}
		seconds, err := strconv.ParseInt(r.Parts[0].Text, 10, 64)
		if err != nil {
			return err
		}
		if now := time.Until(time.Unix(seconds, 0)); (now - off).Abs() > 2*time.Second {
			return fmt.Errorf("node %d's clock is off by %v and not by %v", i, now, off)
		}
		n.Watch.Count("clocks set", 1)
		return nil
	})
}
