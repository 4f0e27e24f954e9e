package partition

import "time"

// detach takes a caller off its place, whose proposals have all ended, or are not waited for any longer.
func (w *waiters) detach(c *caller) {
	p := c.place
	p.drop(c)
	if p.over || p.out() || len(p.callers) > 0 {
		return
	}
	p.left = w.mono()
	if c.gone {
		if p.underWay == 0 {
			w.absent(p)
		}
		return
	}
	p.soft = true
	w.returns = append(w.returns, absence{p, p.left})
	w.nudge()
}

// absent passes a place over from now on.
func (w *waiters) absent(p *place) {
	p.away, p.soft, p.resting, p.judged = true, false, false, false
	p.line.quit(p)
	p.left = w.mono()
	w.absences = append(w.absences, absence{p, p.left})
	w.nudge()
	w.grant(p.line)
}

func (w *waiters) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *waiters) stop() { close(w.stopped) }

// run ends gaps and graces, until stopped.
func (w *waiters) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(w.overdue())
		select {
		case <-timer.C:
		case <-w.wake:
		case <-w.stopped:
			return
		}
	}
}

// overdue ends the gaps and graces that are over, and tells how long there is nothing to do.
func (w *waiters) overdue() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.mono()
	for p := due(&w.returns, now-returnGap); p != nil; p = due(&w.returns, now-returnGap) {
		w.notReturned(p)
	}
	for p := due(&w.absences, now-absenceGrace); p != nil; p = due(&w.absences, now-absenceGrace) {
		if p.away {
			w.remove(p)
		}
	}
	next := time.Hour
	if len(w.returns) > 0 {
		next = w.returns[0].since + returnGap - now
	}
	if len(w.absences) > 0 {
		next = min(next, w.absences[0].since+absenceGrace-now)
	}
	return max(next, 0)
}

// due takes the first place that nobody has come back to since a time; nil: there is none.
func due(all *[]absence, since time.Duration) *place {
	for len(*all) > 0 && (*all)[0].since <= since {
		a := (*all)[0]
		(*all)[0] = absence{}
		if *all = (*all)[1:]; len(*all) == 0 {
			*all = nil
		}
		if p := a.place; !p.over && len(p.callers) == 0 && p.left == a.since {
			return p
		}
	}
	return nil
}

// notReturned ends the gap of a place whose caller was expected back.
func (w *waiters) notReturned(p *place) {
	switch {
	case !p.soft:
	case p.granted != nil:
		if !p.granted.Found {
			w.giveBack(p, p.granted)
		}
		w.remove(p)
	case p.underWay > 0:
		p.soft = false // what is under way ends it
	default:
		w.absent(p)
	}
}
