package load

import (
	"errors"
	"sync"

	"kahuna/tests/e2e/wire"
)

// How much a Check does.
type Depth struct {
	Resolve bool // ask again for IDEM keys whose end is not known, which writes
	Copy    bool // the server runs on a copy of the data: the timestamps it gives out are given out again by others
	Fixed   bool // what is found does not narrow what may be found later
	All     bool // read everything that was ever acknowledged; else the last of each client's journal, and no pair that is blocked
}

// journalTail is how many of the last entries of each journal are read if not all are.
const journalTail = 150

// Check holds the data of the server at addr against what was acknowledged, while nobody writes. What is not as promised is
// noted as a violation; an error means that the server could not be asked.
func (w *World) Check(addr string, depth Depth) error {
	c, err := wire.Dial(addr, replyPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := w.checkShared(c, depth); err != nil {
		return err
	}
	errs := make([]error, len(w.actors))
	var all sync.WaitGroup
	for i, a := range w.actors {
		all.Go(func() { errs[i] = a.check(addr, depth) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (w *World) checkShared(c *wire.Conn, depth Depth) error {
	if err := w.clock.check(w, c, depth.Copy); err != nil {
		return err
	}
	for _, n := range w.counters {
		if err := n.check(w, c, depth.Fixed); err != nil {
			return err
		}
	}
	for _, s := range w.sequences {
		if err := s.check(w, c, depth); err != nil {
			return err
		}
	}
	return w.hot.check(w, c)
}

func (a *actor) check(addr string, depth Depth) error {
	c, err := wire.Dial(addr, replyPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, g := range a.registers {
		if err := g.check(c, depth.Fixed); err != nil {
			return err
		}
	}
	for _, p := range a.pairs {
		if err := p.check(addr, depth); err != nil {
			return err
		}
	}
	for _, l := range a.locks {
		if err := l.check(c, depth.Fixed); err != nil {
			return err
		}
	}
	from := 0
	if !depth.All {
		from = len(a.journal.acked) - journalTail
	}
	return a.journal.check(c, max(0, from))
}

// Keys is how many entries the journals of acknowledged writes have.
func (w *World) Keys() (n int) {
	for _, a := range w.actors {
		n += len(a.journal.acked)
	}
	return n
}
