package load

import (
	"fmt"
	"strings"
	"sync"

	"kahuna/tests/e2e/wire"
)

// sequence is one that all clients draw from.
type sequence struct {
	name string
	mu   sync.Mutex
	tally
	high    int64
	given   map[int64]bool
	answers []answer // of IDEM keys
	pending []answer // IDEM keys whose end is not known
}

// answer is what an IDEM key got: n values from first on.
type answer struct {
	key   string
	n     int
	first int64
}

func newSequence(name string) *sequence { return &sequence{name: name, given: map[int64]bool{}} }

func (s *sequence) next(w *World, n int) *step {
	before := s.now()
	return &step{[][]string{{"SEQNEXT", s.name, "COUNT", fmt.Sprint(n)}}, func(end outcome, r *wire.Reply) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(end, int64(n))
		if end == acked {
			s.take(w, before, r, n)
		}
	}}
}

func (s *sequence) nextIdem(w *World, key string, n int) *step {
	before := s.now()
	return &step{[][]string{s.idemCommand(key, n)}, func(end outcome, r *wire.Reply) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(end, int64(n))
		switch end {
		case acked:
			s.answers = append(s.answers, answer{key, n, s.take(w, before, r, n)})
		case unknown:
			s.pending = append(s.pending, answer{key: key, n: n})
		}
	}}
}

func (s *sequence) idemCommand(key string, n int) []string {
	return []string{"SEQNEXT", s.name, "COUNT", fmt.Sprint(n), "IDEM", key}
}

func (s *sequence) now() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.high
}

// take notes the values of a reply, none of which was ever given before, and gives the first one.
func (s *sequence) take(w *World, before int64, r *wire.Reply, n int) int64 {
	if len(r.Parts) != 3 || r.Parts[1].Int != r.Parts[0].Int+int64(n)-1 || r.Parts[2].Int != 1 {
		w.violate("SEQNEXT %s COUNT %d answers %s", s.name, n, shown(r))
		return 0
	}
	first := r.Parts[0].Int
	if first <= before {
		w.violate("SEQNEXT %s answers %d, and had answered %d before", s.name, first, before)
	}
	for i := range int64(n) {
		if s.given[first+i] {
			w.violate("SEQNEXT %s gives %d a second time", s.name, first+i)
		}
		s.given[first+i] = true
	}
	s.high = max(s.high, first+int64(n)-1)
	return first
}

// check reads where the sequence is, and asks again for what some IDEM keys got. If told to, it also asks again for those whose
// end is not known, twice.
func (s *sequence) check(w *World, c *wire.Conn, depth Depth) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := c.Do("SEQGET", s.name)
	if err != nil {
		return err
	}
	last := int64(0)
	if !r.Nil() {
		if r.Field("last") == nil {
			return fmt.Errorf("SEQGET %s answers %s", s.name, shown(r))
		}
		last = r.Field("last").Int
	}
	s.observe(w, "sequence "+s.name, last, depth.Fixed)
	for i := 0; i < len(s.answers); i += max(1, len(s.answers)/20) {
		if err := s.replay(w, c, s.answers[i]); err != nil {
			return err
		}
	}
	if !depth.Resolve {
		return nil
	}
	return s.resolve(w, c, last)
}

// replay asks again with a key that has its answer.
func (s *sequence) replay(w *World, c *wire.Conn, a answer) error {
	r, err := c.Do(s.idemCommand(a.key, a.n)...)
	if err != nil {
		return err
	}
	if strings.HasPrefix(r.Err(), "TRYAGAIN ") {
		return nil // a full disk: asking again is a write
	}
	if len(r.Parts) != 3 || r.Parts[0].Int != a.first || r.Parts[1].Int != a.first+int64(a.n)-1 {
		w.violate("SEQNEXT %s IDEM %s COUNT %d got %d, and answers %s now", s.name, a.key, a.n, a.first, shown(r))
	}
	return nil
}

// resolve asks again with the keys whose end is not known: each has taken its values once, before or now.
func (s *sequence) resolve(w *World, c *wire.Conn, last int64) error {
	for len(s.pending) > 0 {
		a := s.pending[0]
		r, err := c.Do(s.idemCommand(a.key, a.n)...)
		if err != nil {
			return err
		}
		if r.Err() != "" {
			return fmt.Errorf("SEQNEXT %s IDEM %s: %s", s.name, a.key, r.Err())
		}
		if a.first = s.take(w, 0, r, a.n); a.first > last {
			s.acked += int64(a.n)
		}
		if err := s.replay(w, c, a); err != nil {
			return err
		}
		s.answers, s.pending = append(s.answers, a), s.pending[1:]
	}
	return nil
}
