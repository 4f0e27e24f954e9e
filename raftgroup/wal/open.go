package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Open opens or creates the log in o.Dir and checks all of it. It returns *CorruptError or *LostTailError, or an error that
// wraps ErrNewerFormat, without having changed anything; with the first two the replicas of this node must be filled anew.
func Open(o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	numbers, temps, err := list(o.Dir)
	if err != nil {
		return nil, err
	}
	m, err := openOrCreateMark(o, len(numbers))
	if err != nil {
		return nil, err
	}
	l := newLog(o, m)
	if err := l.recover(numbers, temps); err != nil {
		l.closeFiles()
		return nil, err
	}
	go l.write()
	go l.keep()
	return l, nil
}

// list returns the numbers of the segments in ascending order, and the leftovers of files that were being made.
func list(dir string) (numbers []uint64, temps []string, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), tempSuffix) {
			temps = append(temps, filepath.Join(dir, f.Name()))
		} else if n, ok := parseSegmentName(f.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, temps, nil
}

// recover checks everything first, and then tidies up: a torn tail, leftovers, superfluous segments.
func (l *Log) recover(numbers []uint64, temps []string) error {
	begin, _ := slices.BinarySearch(numbers, l.mark.mark.first)
	leftovers := numbers[:begin]
	if err := l.openSegments(numbers[begin:]); err != nil {
		return err
	}
	r := &replay{log: l}
	if err := r.run(); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	if err := r.cutTail(); err != nil {
		return err
	}
	l.durable, l.seq = r.last, r.last+1
	if r.torn != nil {
		l.seq++ // the torn batch had that sequence
	}
	for _, n := range leftovers {
		temps = append(temps, segmentPath(l.o.Dir, n))
	}
	if err := l.tidy(temps, r.current); err != nil {
		return err
	}
	l.requeue()
	return l.begun()
}

// openSegments opens them all and checks the headers, and that none is missing.
func (l *Log) openSegments(numbers []uint64) error {
	for i, n := range numbers {
		if want := l.mark.mark.first + uint64(i); n != want {
			return &CorruptError{Segment: want, Reason: "segment is missing"}
		}
		s, err := openSegment(l.o.Dir, n)
		if err != nil {
			return err
		}
		l.segs = append(l.segs, s)
	}
	return nil
}

// tidy removes files nobody needs, and leaves the segment with the last batch as the current one with at most one empty
// segment behind it.
func (l *Log) tidy(files []string, current int) error {
	if len(l.segs) > current+2 {
		for _, s := range l.segs[current+2:] {
			files = append(files, segmentPath(l.o.Dir, s.number))
			s.f.Close()
		}
		l.segs = l.segs[:current+2]
	}
	for i := len(files) - 1; i >= 0; i-- { // the newest first, so that a crash leaves no gap
		if err := removeFile(files[i]); err != nil {
			return err
		}
	}
	if len(l.segs) > current+1 {
		l.next, l.segs = l.segs[current+1], l.segs[:current+1]
	}
	return nil
}

// begun makes durable what was read, for it may have been written by a process that died before the sync, and takes the clean
// mark away before anything is written.
func (l *Log) begun() error {
	if len(l.segs) == 0 {
		s, err := createSegment(l.o, l.mark.mark.first)
		if err != nil {
			return classify(err)
		}
		l.segs = append(l.segs, s)
	}
	if err := l.o.Sync(l.current().f); err != nil {
		return fmt.Errorf("wal: syncing segment %d: %w", l.current().number, err)
	}
	if err := l.o.syncDir(); err != nil {
		return err
	}
	if err := l.mark.save(mark{seq: l.durable, first: l.mark.mark.first}); err != nil {
		return fmt.Errorf("wal: mark: %w", err)
	}
	l.collects = true
	return nil
}
