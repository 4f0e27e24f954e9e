package wal

import "errors"

// CheckFormat tells whether the log in a directory was written in a newer format, by an error that wraps ErrNewerFormat, without
// changing anything. Other things that may be wrong are found by Open. A directory that is not there is as good as an empty one.
func CheckFormat(dir string) error {
	numbers, _, err := list(dir)
	if err != nil {
		return nil // Open makes the directory, or says what is wrong with it
	}
	if m, err := openMark(Options{Dir: dir}); err == nil {
		m.f.Close()
	} else if errors.Is(err, ErrNewerFormat) {
		return err
	}
	for _, n := range numbers {
		s, err := openSegment(dir, n)
		if errors.Is(err, ErrNewerFormat) {
			return err
		}
		if err == nil {
			s.f.Close()
		}
	}
	return nil
}
