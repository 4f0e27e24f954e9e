package cluster

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"kahuna/interest"
	"kahuna/op"
)

// feeds are the readers on this node that wait for changes. Those who wait for the same share one tail, which reads for all of them.
// While nothing happens, a reader costs its place in a map.
type feeds struct {
	r       *Router
	table   *interest.Table
	links   *links
	refresh time.Duration // after which a tail without changes moves on, so that the safe point does not overtake it

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // tails; added to under mu
	mu      sync.Mutex     // guards what follows and the tails' fields; never held across a wait
	closed  bool
	tails   map[tailKey]*tail
}

// tailKey is what those who share a tail ask for.
type tailKey struct {
	space    op.Space
	prefix   string
	limit    uint32
	maxBytes uint32
}

// tail follows the changes of a prefix. What holds: whatever has changed since the timestamp of its last read has left a wake behind,
// or its wake is under way here, or comes when a link to another node has begun or a leader has begun to lead. So a tail that has no
// wake has nothing to tell.
type tail struct {
	f       *feeds
	key     tailKey
	wake    chan struct{}
	at      op.Timestamp // everything up to here was told
	readers map[*feedReader]struct{}
	dirty   bool // it was woken while nobody waited
}

// feedReader is one call that waits. It is told once: by whoever takes it out of the readers of its tail.
type feedReader struct {
	since op.Timestamp
	then  func(op.Outcome)
}

// tailLinger is how long a tail is kept when nobody waits at it: most readers come back at once.
const tailLinger = 5 * time.Second

func newFeeds(n *Node) *feeds {
	f := &feeds{r: n.router, table: interest.NewTable(), refresh: max(n.cfg.HistoryRetention/4, time.Second), tails: map[tailKey]*tail{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.links = newLinks(n)
	return f
}

func (f *feeds) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.running.Wait()
	f.links.close()
}

// waiting is how many readers wait.
func (f *feeds) waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tails {
		n += len(t.readers)
	}
	return n
}

// AwaitChanges is Router.Changes for who waits for the next change above Since, which is not 0, and does not wait himself: then is told
// the outcome, once, from any goroutine, and must not wait. When the time of ctx is over, the page is empty; when ctx is cancelled
// nobody waits any more, and it ends with ErrTryAgain. A change of leaders does not end the wait.
func (n *Node) AwaitChanges(ctx context.Context, o *op.Changes, then func(op.Outcome)) {
	n.feeds.await(ctx, *o, then)
}

func (f *feeds) await(ctx context.Context, o op.Changes, then func(op.Outcome)) {
	key := tailKey{o.Space, string(o.Prefix), o.Limit, o.MaxBytes}
	me := &feedReader{since: o.Since, then: then}
	t, err := f.join(key, me)
	switch {
	case err != nil:
		then(op.Outcome{Err: err})
	case t != nil:
		context.AfterFunc(ctx, func() { t.leave(ctx, me) })
	case !f.start(func() { f.catchUp(ctx, &o, then) }):
		then(op.Outcome{Err: errFeedEnds})
	}
}

// catchUp reads for a reader whose tail is past him.
func (f *feeds) catchUp(ctx context.Context, o *op.Changes, then func(op.Outcome)) {
	out := f.r.Changes(ctx, o)
	if out.Err != nil || out.Status != op.OK || len(out.Items) > 0 {
		then(out)
		return
	}
	o.Since = out.TS
	f.await(ctx, *o, then)
}

// start runs something that close waits for. False: it is closed.
func (f *feeds) start(run func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.running.Go(run)
	return true
}

var errFeedEnds = fmt.Errorf("%w: the node is stopping", ErrTryAgain)

// join puts a reader to the tail for what it asks; nil when that has told already what the reader does not know.
func (f *feeds) join(key tailKey, me *feedReader) (*tail, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errFeedEnds
	}
	t := f.tails[key]
	switch {
	case t == nil:
		t = &tail{f: f, key: key, wake: make(chan struct{}, 1), at: me.since, readers: map[*feedReader]struct{}{}}
		f.tails[key] = t
		f.running.Go(t.run)
	case t.at > me.since:
		return nil, nil
	case len(t.readers) == 0:
		t.at = me.since // nobody needs what was before
		if t.dirty {
			t.signal()
		}
	}
	t.readers[me] = struct{}{}
	return t, nil
}

func (t *tail) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// leave ends the wait of a reader whose time is over, or who has gone.
func (t *tail) leave(ctx context.Context, me *feedReader) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	if _, waits := t.readers[me]; !waits {
		return
	}
	delete(t.readers, me)
	if len(t.readers) == 0 {
		t.signal() // so that it sees that nobody waits
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		me.then(op.Outcome{Err: fmt.Errorf("%w: the wait was ended", ErrTryAgain)})
		return
	}
	me.then(op.Outcome{Result: op.Result{Done: true, TS: max(me.since, t.at)}})
}

// run reads when something has changed, until nobody waits for it any more.
func (t *tail) run() {
	w := t.f.table.Add(t.key.space, t.key.prefix, t.signal)
	defer t.f.table.Remove(w)
	there := t.f.links.add(t.f.ctx, w, t.signal)
	defer t.f.links.remove(there)
	t.read()
	for {
		timer := time.NewTimer(t.patience())
		select {
		case <-t.wake:
			t.read()
		case <-timer.C:
			if t.over() {
				return
			}
			t.read()
		case <-t.f.ctx.Done():
			t.end(op.Outcome{Err: errFeedEnds})
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

func (t *tail) patience() time.Duration {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	if len(t.readers) == 0 {
		return tailLinger
	}
	return t.f.refresh
}

// over ends a tail that nobody waits at.
func (t *tail) over() bool {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	if len(t.readers) > 0 {
		return false
	}
	delete(t.f.tails, t.key)
	return true
}

// read tells the readers what has changed, until there is nothing more or nobody waits.
func (t *tail) read() {
	for pause := backoffMin; ; pause = min(2*pause, time.Second) {
		since, wanted := t.position()
		if !wanted {
			return
		}
		out := t.f.r.Changes(t.f.ctx, &op.Changes{Space: t.key.space, Prefix: []byte(t.key.prefix), Since: since, Limit: t.key.limit, MaxBytes: t.key.maxBytes})
		switch {
		case errors.Is(out.Err, ErrTryAgain), errors.Is(out.Err, ErrClusterDown):
			if !t.pause(pause) {
				return
			}
			continue
		case out.Err != nil || out.Status != op.OK:
			t.end(out)
			return
		}
		t.tell(&out.Result)
		if !out.Found {
			return
		}
		pause = backoffMin
	}
}

// position is from where the tail reads on. Not wanted: nobody waits.
func (t *tail) position() (since op.Timestamp, wanted bool) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	t.dirty = len(t.readers) == 0
	return t.at, !t.dirty
}

func (t *tail) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.f.ctx.Done():
		return false
	}
}

// tell gives a page to those who wait for any of it.
func (t *tail) tell(page *op.Result) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	t.at = page.TS
	for me := range t.readers {
		from := sort.Search(len(page.Items), func(i int) bool { return page.Items[i].TS > me.since })
		if from == len(page.Items) {
			continue
		}
		delete(t.readers, me)
		me.then(op.Outcome{Result: op.Result{Done: true, Items: page.Items[from:], TS: page.TS}})
	}
}

// end gives all readers the same.
func (t *tail) end(out op.Outcome) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	for me := range t.readers {
		delete(t.readers, me)
		me.then(out)
	}
	if t.f.tails[t.key] == t && t.f.closed {
		delete(t.f.tails, t.key)
	}
}

// Changes is Router.Changes.
func (n *Node) Changes(ctx context.Context, o *op.Changes) op.Outcome {
	return n.router.Changes(ctx, o)
}
