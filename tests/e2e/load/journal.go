package load

import (
	"fmt"
	"hash/fnv"
	"strings"

	"kahuna/tests/e2e/wire"
)

// journal is keys that are written once each and never again, so that nothing hides a lost one.
type journal struct {
	world   *World
	prefix  string
	next    int
	acked   []entry
	unknown []entry
}

type entry struct{ number, size int }

func (j *journal) key(n int) string { return fmt.Sprint(j.prefix, n) }

// value follows from the key, so that it need not be kept.
func (j *journal) value(e entry) string {
	h := fnv.New64a()
	fmt.Fprint(h, j.key(e.number))
	unit := fmt.Sprintf("%016x", h.Sum64())
	return strings.Repeat(unit, e.size/len(unit)+1)
}

func (j *journal) append(size int) *step {
	e := entry{j.next, size}
	j.next++
	return &step{[][]string{{"SET", j.key(e.number), j.value(e)}}, func(end outcome, _ *wire.Reply) {
		switch end {
		case acked:
			j.acked = append(j.acked, e)
		case unknown:
			j.unknown = append(j.unknown, e)
		case refused:
			j.unknown = append(j.unknown, entry{e.number, -1})
		}
	}}
}

// pageKeys is how many keys are read at once.
const pageKeys = 200

// check reads the entries from number from on of those acknowledged, and all of those unknown or refused.
func (j *journal) check(c *wire.Conn, from int) error {
	err := j.read(c, j.acked[min(from, len(j.acked)):], func(e entry, r *wire.Reply) {
		if r.Text != j.value(e) {
			j.world.violate("%s was acknowledged and is %s now", j.key(e.number), shown(r))
		}
	})
	if err != nil {
		return err
	}
	return j.read(c, j.unknown, func(e entry, r *wire.Reply) {
		if !r.Nil() && (e.size < 0 || r.Text != j.value(e)) {
			j.world.violate("%s (size %d) was not acknowledged and is %s now", j.key(e.number), e.size, shown(r))
		}
	})
}

func (j *journal) read(c *wire.Conn, entries []entry, visit func(entry, *wire.Reply)) error {
	for len(entries) > 0 {
		page := entries[:min(pageKeys, len(entries))]
		entries = entries[len(page):]
		command := []string{"MGET"}
		for _, e := range page {
			command = append(command, j.key(e.number))
		}
		r, err := c.Do(command...)
		if err != nil {
			return err
		}
		if len(r.Parts) != len(page) {
			return fmt.Errorf("MGET of %d keys answers %s", len(page), shown(r))
		}
		for i, e := range page {
			visit(e, r.Parts[i])
		}
	}
	return nil
}

func shown(r *wire.Reply) string { return fmt.Sprintf("%.80s", r.String()) }
