package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"kahuna/interest"
	"kahuna/internal/clock"
	"kahuna/op"
)

// links are the connections to the nodes that may see changes first which readers here wait for: every other node, for each tells only of
// what it leads. At each of them this node has a session with all that it is interested in, and one call in flight that
// waits until something of it has changed. When a session is lost, or could not be had, whatever had changed meanwhile was not told: so once
// a link has begun anew, everybody is woken.
type links struct {
	n   *Node
	ctx context.Context

	cancel  context.CancelFunc
	running sync.WaitGroup // of links; added to under mu
	mu      sync.Mutex     // guards what follows, and the links' fields; never held across a wait
	closed  bool
	next    uint64 // the numbers of interests and of sessions
	watches map[uint64]*linked
	byNode  map[string]*link
}

// linked is an interest as other nodes know it.
type linked struct {
	id    uint64
	watch *interest.Watch
	wake  func()
}

// link is the one to a node.
type link struct {
	l       *links
	node    string
	session uint64             // 0: none that has begun
	late    []*linked          // came while a session begins
	gone    []uint64           // the other node is still to be told that nobody waits for them
	lost    context.CancelFunc // ends the call that waits
}

// pollSlice is how long one call waits at another node.
const pollSlice = 10 * time.Second

// linkUnit is how many interests go into one message.
const linkUnit = 256

func newLinks(n *Node) *links {
	l := &links{n: n, watches: map[uint64]*linked{}, byNode: map[string]*link{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *links) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
}

// add tells the other nodes of an interest. When it returns, each of them knows, or wake is called once it does.
func (l *links) add(ctx context.Context, w *interest.Watch, wake func()) *linked {
	l.mu.Lock()
	l.next++
	added := &linked{l.next, w, wake}
	l.watches[added.id] = added
	l.follow()
	type known struct {
		to      *link
		session uint64
	}
	var tell []known
	for _, to := range l.byNode {
		if to.late = append(to.late, added); to.session != 0 {
			to.late = nil
			tell = append(tell, known{to, to.session})
		}
	}
	l.mu.Unlock()
	var telling sync.WaitGroup
	for _, k := range tell {
		telling.Go(func() {
			if err := k.to.tell(ctx, k.session, false, []*linked{added}); err != nil {
				k.to.lose(k.session)
			}
		})
	}
	telling.Wait()
	return added
}

func (l *links) remove(w *linked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watches, w.id)
	for _, to := range l.byNode {
		if to.session != 0 {
			to.gone = append(to.gone, w.id)
		}
	}
}

// members sees to it that there is a link to each node, when anybody waits for anything.
func (l *links) members() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow()
}

// follow is members with l.mu held.
func (l *links) follow() {
	if l.closed || len(l.watches) == 0 {
		return
	}
	for _, node := range l.n.Others() {
		if l.byNode[node] == nil {
			to := &link{l: l, node: node, lost: func() {}}
			l.byNode[node] = to
			l.running.Go(to.run)
		}
	}
}

// run keeps a session until nobody here waits for anything any more, or the node has left.
func (k *link) run() {
	for pause := backoffMin; k.wanted(); pause = min(2*pause, time.Second) {
		if session := k.begin(); session != 0 {
			pause = backoffMin
			for k.poll(session) == nil {
				if !k.wanted() {
					return
				}
			}
			k.lose(session)
		}
		if !clock.Pause(k.l.ctx, pause) {
			return
		}
	}
}

// wanted tells whether the link is to go on; when not, it is gone.
func (k *link) wanted() bool {
	others := k.l.n.Others()
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	if len(k.l.watches) > 0 && !k.l.closed && slices.Contains(others, k.node) {
		return true
	}
	delete(k.l.byNode, k.node)
	return false
}

// begin makes a session with everything that anybody waits for, and wakes them all. 0: it has failed.
func (k *link) begin() (session uint64) {
	k.l.mu.Lock()
	k.l.next++
	session, k.late, k.gone = k.l.next, nil, nil
	var all []*linked
	for _, w := range k.l.watches {
		all = append(all, w)
	}
	k.l.mu.Unlock()
	for first := true; first || len(all) > 0; first = false {
		n := min(len(all), linkUnit)
		if err := k.tell(k.l.ctx, session, first, all[:n]); err != nil {
			return 0
		}
		if all = all[n:]; len(all) == 0 {
			all = k.begun(session)
		}
	}
	k.l.wakeAll()
	return session
}

// begun gives what came meanwhile; when there is nothing, the session counts from now on.
func (k *link) begun(session uint64) []*linked {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	late := k.late
	if k.late = nil; len(late) == 0 {
		k.session = session
	}
	return late
}

func (l *links) wakeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watches {
		w.wake()
	}
}

// lose ends a session that the other node does not know, or does not answer to.
func (k *link) lose(session uint64) {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	if k.session == session {
		k.session = 0
		k.lost()
	}
}

var errNoSession = errors.New("cluster: the other node does not know the session")

// The first byte of an answer to callWatch and callChanged.
const (
	sessionKnown   byte = 0
	sessionUnknown byte = 1
)

func sessionAnswer(b []byte) (*op.Reader, error) {
	switch {
	case len(b) == 0 || b[0] > sessionUnknown:
		return nil, errAnswer
	case b[0] == sessionUnknown:
		return nil, errNoSession
	}
	return op.NewReader(b[1:]), nil
}

func (k *link) head(session uint64) []byte {
	self := k.l.n.identity.Node()
	b := append(binary.AppendUvarint(nil, uint64(len(self))), self...)
	return binary.AppendUvarint(b, session)
}

// tell adds interests to a session, which begins with them if first.
func (k *link) tell(ctx context.Context, session uint64, first bool, watches []*linked) error {
	b := k.head(session)
	if first {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(watches)))
	for _, w := range watches {
		b = binary.AppendUvarint(b, w.id)
		b = binary.AppendUvarint(b, uint64(w.watch.Space))
		b = binary.AppendUvarint(b, uint64(len(w.watch.Prefix)))
		b = append(b, w.watch.Prefix...)
	}
	ctx, cancel := context.WithTimeout(ctx, k.l.n.router.attempt())
	defer cancel()
	answer, err := k.l.n.hub.Call(ctx, k.node, callWatch, b)
	if err == nil {
		_, err = sessionAnswer(answer)
	}
	return err
}

// poll waits for a time until anything has changed, and wakes whom it concerns.
func (k *link) poll(session uint64) error {
	ctx, cancel := context.WithTimeout(k.l.ctx, pollSlice+k.l.n.router.attempt())
	defer cancel()
	k.l.mu.Lock()
	if k.session != session {
		k.l.mu.Unlock()
		return errNoSession
	}
	gone := k.gone
	k.gone, k.lost = nil, cancel
	k.l.mu.Unlock()
	b := binary.AppendUvarint(k.head(session), uint64(pollSlice.Milliseconds()))
	b = binary.AppendUvarint(b, uint64(len(gone)))
	for _, id := range gone {
		b = binary.AppendUvarint(b, id)
	}
	answer, err := k.l.n.hub.Call(ctx, k.node, callChanged, b)
	if err != nil {
		return err
	}
	r, err := sessionAnswer(answer)
	if err != nil {
		return err
	}
	var changed []uint64
	for range r.Uint() {
		if changed = append(changed, r.Uint()); r.Bad() {
			return errAnswer
		}
	}
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	for _, id := range changed {
		if w := k.l.watches[id]; w != nil {
			w.wake()
		}
	}
	return nil
}
