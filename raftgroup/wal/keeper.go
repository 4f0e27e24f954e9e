package wal

import (
	"time"
)

// job is what the keeper does next.
type job int

const (
	jobWait job = iota
	jobSegment
	jobRemove
	jobMark
	jobStop
)

func (l *Log) wakeKeeper() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// keep is the keeper: everything on disk that no call waits for (but a full segment for the next one).
func (l *Log) keep() {
	defer close(l.keeperDone)
	for {
		j, wait := l.nextJob()
		var err error
		switch j {
		case jobStop:
			return
		case jobSegment:
			err = l.makeNext()
		case jobRemove:
			err = l.removeDead()
		case jobMark:
			err = l.saveMark(l.mark.mark.first)
		case jobWait:
			l.sleep(wait)
		}
		if err != nil {
			l.failStop(err)
			return
		}
	}
}

// sleep returns after a time, or when there may be something to do. 0 means no limit.
func (l *Log) sleep(wait time.Duration) {
	if wait == 0 {
		<-l.kick
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-l.kick:
	case <-t.C:
	}
}

// nextJob also returns how long to wait for the next thing that is due, 0 for nothing.
func (l *Log) nextJob() (job, time.Duration) {
	if l.keeperStop.Load() {
		return jobStop, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marked = l.durable == l.mark.mark.seq
	now := time.Now()
	var wait time.Duration
	due := func(at time.Time) bool {
		if d := at.Sub(now); d > 0 {
			if wait == 0 || d < wait {
				wait = d
			}
			return false
		}
		return true
	}
	switch {
	case l.fault != nil:
		return jobStop, 0
	case len(l.dead) > 0 && due(l.dropAfter): // first, for it makes room
		return jobRemove, 0
	case l.next == nil && (l.tried < l.wanted || due(l.retryAfter)):
		return jobSegment, 0
	case l.durable > l.mark.mark.seq && due(l.markAfter):
		return jobMark, 0
	}
	return jobWait, wait
}

// makeNext makes the next segment. A full disk is no error: it is tried again, at once when the writer needs it.
func (l *Log) makeNext() error {
	l.mu.Lock()
	l.tries++
	number := l.segs[len(l.segs)-1].number + 1
	l.mu.Unlock()
	seg, err := createSegment(l.o, number)
	full := err != nil && isNoSpace(err)
	l.mu.Lock()
	l.tried = l.tries
	if err == nil {
		l.next = seg
		l.collects = true
		l.work.Signal()
	}
	if full {
		l.nextErr = classify(err)
		l.retryAfter = time.Now().Add(retryInterval)
	}
	l.ready.Broadcast()
	l.mu.Unlock()
	switch {
	case full && !l.fullLogged:
		l.o.Logger.Warn().Err(err).Msg("no space for the next segment of the write-ahead log")
	case err == nil && l.fullLogged:
		l.o.Logger.Info().Uint64("segment", number).Msg("space for the write-ahead log again")
	case err != nil && !full:
		return err
	}
	l.fullLogged = full
	return nil
}

// saveMark moves the mark up to what is durable, and sets where the log begins.
func (l *Log) saveMark(first uint64) error {
	l.mu.Lock()
	durable := l.durable
	l.mu.Unlock()
	l.markAfter = time.Now().Add(markInterval)
	err := l.mark.save(mark{seq: durable, first: first})
	if err != nil && isNoSpace(err) {
		l.o.Logger.Warn().Err(err).Msg("no space for the mark of the write-ahead log")
		return nil
	}
	return err
}

// removeDead removes the segments that nothing points to, after the mark says that the log begins behind them.
func (l *Log) removeDead() error {
	l.mu.Lock()
	dead := l.dead
	l.mu.Unlock()
	first := dead[len(dead)-1].number + 1
	l.dropAfter = time.Now().Add(retryInterval) // unless all goes well
	if err := l.saveMark(first); err != nil || l.mark.mark.first != first {
		return err
	}
	for _, s := range dead {
		if err := removeFile(segmentPath(l.o.Dir, s.number)); err != nil {
			return err
		}
	}
	if err := l.o.syncDir(); err != nil {
		return err
	}
	l.mu.Lock()
	l.dead = l.dead[len(dead):]
	l.mu.Unlock()
	l.dropAfter = time.Time{}
	for _, s := range dead {
		s.f.Close() // read-only by now, and a reader that comes too late looks again
	}
	return nil
}
