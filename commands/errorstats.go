package commands

import (
	"slices"
	"strings"
	"sync"
)

// errorCounts are how many errors clients were answered, by the first word, for INFO errorstats. An error of a transaction that was run
// again counts each time.
type errorCounts struct {
	mu       sync.Mutex // guards what follows; taken only for errors
	total    int64
	byPrefix map[string]int64
}

// errorPrefixesMax bounds how many first words are told apart, for a script may make up any; further ones count in the total only.
const errorPrefixesMax = 128

// note counts an error.
func (e *errorCounts) note(text string) {
	prefix, _, _ := strings.Cut(text, " ")
	if len(prefix) > 64 {
		prefix = prefix[:64]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total++
	if _, known := e.byPrefix[prefix]; !known && len(e.byPrefix) >= errorPrefixesMax {
		return
	}
	if e.byPrefix == nil {
		e.byPrefix = map[string]int64{}
	}
	e.byPrefix[prefix]++
}

func (e *errorCounts) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total, e.byPrefix = 0, nil
}

// fields are the lines of INFO.
func (e *errorCounts) fields() (total int64, lines []Field) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for prefix, n := range e.byPrefix {
		lines = append(lines, Field{"errorstat_" + oneLine(prefix), "count=" + itoa(n)})
	}
	slices.SortFunc(lines, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return e.total, lines
}
