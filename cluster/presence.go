package cluster

import (
	"maps"
	"slices"
	"sync"
)

// Every node asks others, in turn, who leads what (leaders.go). By whether they answer it tells clients which nodes are silent. It
// is what this node knows, and only to be shown: nothing rests on it.

// silentAfter is how many questions in a row a node leaves unanswered until it is called silent.
const silentAfter = 2

// presence counts, by node, the questions in a row that had no answer.
type presence struct {
	mu         sync.Mutex
	unanswered map[string]int
}

func (p *presence) note(node string, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answered {
		delete(p.unanswered, node)
		return
	}
	if p.unanswered == nil {
		p.unanswered = map[string]int{}
	}
	p.unanswered[node]++
}

// silent tells whether a node has stopped to answer.
func (p *presence) silent(node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unanswered[node] >= silentAfter
}

// keep forgets nodes that are not members any more.
func (p *presence) keep(members []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.unanswered, func(node string, _ int) bool { return !slices.Contains(members, node) })
}
