package work

import (
	"fmt"
	"slices"
	"sync"

	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/e2e/wire"
)

// Feed is one follower of the changes of all keys with some prefix. It belongs to one goroutine, but for Pages.
type Feed struct {
	w      *load.World
	prefix string

	mu    sync.Mutex
	pages []Page
}

// Page is one answer of KCHANGES.
type Page struct {
	Since, Next op.Timestamp
	Changes     []op.Item
}

// NewFeed makes a follower that begins at a timestamp.
func NewFeed(w *load.World, prefix string, from op.Timestamp) *Feed {
	return &Feed{w: w, prefix: prefix, pages: []Page{{Next: from}}}
}

// At is how far it has come.
func (f *Feed) At() op.Timestamp {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pages[len(f.pages)-1].Next
}

// Step asks for one page, through any node.
func (f *Feed) Step(c *Client) {
	since := f.At()
	args := []string{"KCHANGES", f.prefix, "SINCE", fmt.Sprint(uint64(since))}
	if c.Rng.IntN(2) == 0 {
		args = append(args, "COUNT", fmt.Sprint(1+c.Rng.IntN(20)))
	}
	if c.Rng.IntN(3) > 0 {
		args = append(args, "BLOCK", fmt.Sprint(1+c.Rng.IntN(1000)))
	}
	r, end := c.Target().Call(args...)
	if end != load.Answered {
		c.Leave()
		return
	}
	p := Page{Since: since, Next: op.Timestamp(r.Parts[0].Int)}
	for _, part := range r.Parts[1].Parts {
		p.Changes = append(p.Changes, changeOf(part))
	}
	f.mu.Lock()
	f.pages = append(f.pages, p)
	f.mu.Unlock()
	f.w.Count("feed pages", 1)
	f.w.Count("feed changes", len(p.Changes))
	f.w.Count("answered by "+c.Target().Name(), 1)
}

func changeOf(r *wire.Reply) op.Item {
	it := op.Item{TS: op.Timestamp(r.Parts[0].Int), Key: []byte(r.Parts[1].Text), Rev: uint64(r.Parts[2].Int)}
	if it.Deleted = r.Parts[3].Nil(); !it.Deleted {
		it.Value = []byte(r.Parts[3].Text)
	}
	return it
}

// Verdict judges what it has been told, by all versions that the keys with the prefix have.
func (f *Feed) Verdict(versions map[string][]op.Item) []string { return Changes(f.pages, versions) }

// History is a line for each page.
func (f *Feed) History() (lines []string) {
	for _, p := range f.pages {
		lines = append(lines, fmt.Sprintf("%d..%d %v", p.Since, p.Next, p.Changes))
	}
	return lines
}

type change struct {
	ts  op.Timestamp
	key string
	rev uint64
}

// Changes judges the pages of one feed: each goes on where the one before ended, its changes are in order and within its bounds, and
// all together are each version from the first page to the last, once.
func Changes(pages []Page, versions map[string][]op.Item) (found []string) {
	from, upTo := pages[0].Next, pages[len(pages)-1].Next
	told := map[change]op.Item{}
	last := from
	for i, p := range pages[1:] {
		if p.Since != pages[i].Next || p.Next < p.Since {
			found = append(found, fmt.Sprintf("feed: a page from %d to %d follows one that ends at %d", p.Since, p.Next, pages[i].Next))
		}
		for _, it := range p.Changes {
			of := change{it.TS, string(it.Key), it.Rev}
			if it.TS <= p.Since || it.TS > p.Next {
				found = append(found, fmt.Sprintf("feed: %v is in a page from %d to %d", of, p.Since, p.Next))
			}
			if it.TS < last {
				found = append(found, fmt.Sprintf("feed: %v comes after a change at %d", of, last))
			}
			if _, twice := told[of]; twice {
				found = append(found, fmt.Sprintf("feed: %v is told twice", of))
			}
			told[of], last = it, it.TS
		}
	}
	return append(found, complete(told, versions, from, upTo)...)
}

func complete(told map[change]op.Item, versions map[string][]op.Item, from, upTo op.Timestamp) (found []string) {
	for key, items := range versions {
		for _, v := range items {
			if v.TS <= from || v.TS > upTo {
				continue
			}
			of := change{v.TS, key, v.Rev}
			it, there := told[of]
			delete(told, of)
			switch {
			case !there:
				found = append(found, fmt.Sprintf("feed: %v was never told", of))
			case it.Deleted != v.Deleted || string(it.Value) != string(v.Value):
				found = append(found, fmt.Sprintf("feed: %v was told as %q and is %q", of, it.Value, v.Value))
			}
		}
	}
	for of := range told {
		found = append(found, fmt.Sprintf("feed: %v was told and never was", of))
	}
	slices.Sort(found)
	return found
}
