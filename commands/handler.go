package commands

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/acl"
	"kahuna/op"
	"kahuna/pubsub"
	"kahuna/resp"
)

// Options are what a Handler needs. Backend, Now and Rand are required.
type Options struct {
	Backend  Backend
	History  History // of SNAPSHOT; nil only where no client uses it
	Feed     Feed    // of KCHANGES; nil only where no client uses it
	Limits   Limits
	Now      func() time.Time                     // wall time: TIME, the age of connections, the overflow check of expiries
	Rand     func() uint64                        // SCAN cursors, RANDOMKEY
	Settings func() []Setting                     // of CONFIG GET; may be nil
	After    func(time.Duration) <-chan time.Time // for DEBUG SLEEP; may be nil, then it answers at once
	Events   string                               // the setting notify-keyspace-events; one that is not valid is as none
	Hub      *pubsub.Hub                          // of this node; nil: the handler makes one that knows no other nodes
	Scripts  ScriptOptions
	Users    UserOptions

	Cluster   Cluster   // nil: there is one node
	Operators Operators // of NODE and PARTITION; nil: they are refused
}

// Handler makes sessions and holds what they share: the command table, the cursors of SCAN, and the list of clients. It is
// safe for concurrent use.
type Handler struct {
	backend  Backend
	history  History
	feed     Feed
	limits   Limits
	now      func() time.Time
	rand     func() uint64
	settings func() []Setting
	after    func(time.Duration) <-chan time.Time
	table    *table
	cursors  cursors
	hub      *pubsub.Hub
	slow     slowlog
	events   notifications
	monitors monitors
	pause    pause
	scripts  scripts

	documents Documents
	secretly  func([]byte)
	catalog   *acl.Catalog
	fallback  *acl.User // the default user while no document says who that is
	users     *acl.Users
	guesses   guesses
	denials   denials
	errors    errorCounts
	noteError func(text string) // errors.note, made once
	protected atomic.Bool
	member    func() bool
	isMember  atomic.Bool // member said so once

	cluster   Cluster
	operators Operators

	mu       sync.Mutex // guards what follows; held for moments only
	sessions map[int64]*Session
	opened   int64 // sessions opened since the start
}

// NewHandler makes a Handler. Nothing is started; there is nothing to close.
func NewHandler(o Options) *Handler {
	h := &Handler{
		backend: o.Backend, history: o.History, feed: o.Feed, limits: o.Limits.withDefaults(), now: o.Now, rand: o.Rand, settings: o.Settings,
		after: o.After, table: newTable(), sessions: map[int64]*Session{},
	}
	h.scripts.init(o)
	if h.cluster, h.operators = o.Cluster, o.Operators; h.cluster == nil {
		h.cluster = alone{o.Backend}
	}
	if h.settings == nil {
		h.settings = func() []Setting { return nil }
	}
	if h.after == nil {
		h.after = func(time.Duration) <-chan time.Time {
			c := make(chan time.Time)
			close(c)
			return c
		}
	}
	if h.hub = o.Hub; h.hub == nil {
		h.hub = pubsub.New(nil)
	}
	classes, _ := parseEvents(o.Events)
	h.events.classes.Store(classes)
	h.slow.over.Store(slowOverDefault)
	h.slow.most.Store(slowMostDefault)
	h.denials.most = denialsDefault
	h.noteError = h.errors.note
	h.openUsers(&o.Users)
	h.cursors = newCursors(h.limits.ScanPositions, o.Rand)
	return h
}

// Conn is what a session knows of its connection.
type Conn struct {
	ID     int64  // unique on this node, from 1, rising
	Remote string // address and port
	Local  string
	// Cluster tells that the client came by the port for cluster-aware clients, which may be told to go elsewhere.
	Cluster bool
	Kill    func() // closes the connection from outside; it must not wait. May be nil
	// Flush sends the replies that Serve has written so far and empties its Writer. Serve calls it between replies when
	// many bytes have gathered. May be nil.
	Flush func() error
	// Push sends data beside the replies, from any goroutine, and does not wait; nil: nothing is pushed. Collect moves what
	// was pushed and not sent yet into the Writer of the Serve that runs. See server.ConnInfo.
	Push    func(fn func(w *resp.Writer))
	Collect func()
	// Suspend is for a command that blocks: Serve returns right after, and the server calls Resume once resume was called. interrupt is
	// called when the client goes. nil: such a command waits inside Serve. See server.ConnInfo.
	Suspend func(interrupt func(cause error)) (resume func())
}

// Open makes the session of a new connection. Close it.
func (h *Handler) Open(conn Conn) *Session {
	s := &Session{h: h, conn: conn, since: h.now()}
	s.seen.Store(s.since.UnixMilli())
	s.queued.Store(-1)
	s.becomeDefault()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[conn.ID] = s
	h.opened++
	return s
}

func (h *Handler) forget(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.conn.ID] == s {
		delete(h.sessions, s.conn.ID)
	}
}

// clients are the open sessions in the order of their ids, without those that were cut off.
func (h *Handler) clients() []*Session {
	h.mu.Lock()
	all := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		if !s.wasCut.Load() {
			all = append(all, s)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(all, func(a, b *Session) int { return int(a.conn.ID - b.conn.ID) })
	return all
}

// session is the open session of a connection; nil: there is none.
func (h *Handler) session(id int64) *Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[id]
}

// resolveAsOf turns an ASOF to a timestamp, at least 1.
func (h *Handler) resolveAsOf(ctx context.Context, a asof) (op.Timestamp, error) {
	if a.beforeNow == 0 {
		return a.at, nil
	}
	now, err := h.backend.Timestamps(ctx, 1)
	if err != nil {
		return 0, err
	}
	if a.beforeNow < -int64(op.MaxTimestamp) {
		return 1, nil
	}
	return max(now.Add(a.beforeNow), 1), nil
}
