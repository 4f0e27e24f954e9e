package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/op"
)

// History is what the cluster agrees on about its past: the safe point, below which nobody reads any more, and the holds, which
// keep it from passing them. Both are one document of the meta group, changed only if nobody else has changed it meanwhile.
// That is the whole reason why a hold keeps what it promises:
//
//   - A hold is granted by a change of the document that finds the safe point at or below the hold's timestamp.
//   - The safe point is raised by a change of the document that finds no hold below the new one.
//   - The versions of the document are in one order. A raise that comes after the grant finds the hold; one that comes before it
//     is found by the grant, which is then refused. There is no third case.
//   - A partition's safe point is only ever one that was agreed on, so it is at or below the last one.
//   - A hold is removed by RELEASE, or when it has run out by the cluster's clock, which every timestamp comes from, so its end
//     is not judged by a node's wall clock. See holdGrace.
//
// Running transactions need no holds: they live for minutes at most, and the retention is longer (config sees to it). One that
// is so late all the same is refused by the partitions, not answered wrongly.
type History struct {
	documents *Documents
	router    *Router
	retention time.Duration
	holdsMax  int
	holdGrace time.Duration
}

// Hold keeps the history at and after a timestamp.
type Hold struct {
	ID    op.Timestamp `json:"id"` // when it was granted; no two are alike
	At    op.Timestamp `json:"at"`
	Until op.Timestamp `json:"until"` // by the cluster's clock
}

// pastDocument is the document.
type pastDocument struct {
	Safe  op.Timestamp `json:"safe"`
	Holds []Hold       `json:"holds,omitempty"`
}

const pastKey = "history"

// The errors of holds. Nothing was changed.
var (
	// ErrCollected: the history at a timestamp is not kept any more.
	ErrCollected = errors.New("the history was collected")
	// ErrHolds: there are as many holds as there may be.
	ErrHolds = errors.New("too many holds")
)

func newHistory(n *Node) *History {
	return &History{documents: n.documents, router: n.router, retention: n.cfg.HistoryRetention, holdsMax: n.cfg.HistoryHoldsMax,
		// A hold that has run out is kept for as long as the answer may have been on its way when it was granted, and for as much
		// as the clock may leap when its leader changes: so it does not end early for who counts from the answer.
		holdGrace: n.cfg.RequestTimeout + n.cfg.ClockBound}
}

// History gives the cluster's history.
func (n *Node) History() *History { return n.history }

// past reads the document as it is agreed on now.
func (h *History) past(ctx context.Context) (pastDocument, error) {
	doc, found, err := h.documents.Get(ctx, pastKey)
	if err != nil || !found {
		return pastDocument{}, err
	}
	return decodePast(doc.Value)
}

func decodePast(value []byte) (d pastDocument, err error) {
	if len(value) > 0 {
		if err = json.Unmarshal(value, &d); err != nil {
			err = fmt.Errorf("%w: the document of the history can't be read: %w", ErrFault, err)
		}
	}
	return d, err
}

// local is the document as this node has it so far; the zero one when it has none.
func (h *History) local() (d pastDocument) {
	if doc, found, err := h.documents.LocalGet(pastKey); err == nil && found {
		d, _ = decodePast(doc.Value)
	}
	return d
}

// errUnchanged ends a change that changes nothing.
var errUnchanged = errors.New("unchanged")

// change changes the document at a present timestamp.
func (h *History) change(ctx context.Context, fn func(d *pastDocument, now op.Timestamp) error) error {
	err := h.documents.Change(ctx, pastKey, func(value []byte) ([]byte, error) {
		d, err := decodePast(value)
		if err != nil {
			return nil, err
		}
		now, err := h.router.Now(ctx, 1)
		if err != nil {
			return nil, err
		}
		if err := fn(&d, now); err != nil {
			return nil, err
		}
		return json.Marshal(d)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// advance raises the safe point as far as the retention and the holds let it, and drops holds that have run out.
func (h *History) advance(ctx context.Context) error {
	return h.change(ctx, func(d *pastDocument, now op.Timestamp) error {
		before := len(d.Holds)
		d.Holds = slices.DeleteFunc(d.Holds, func(hold Hold) bool { return h.over(&hold, now) })
		safe := now.Add(-h.retention.Milliseconds())
		for _, hold := range d.Holds {
			safe = min(safe, hold.At)
		}
		if safe <= d.Safe && len(d.Holds) == before {
			return errUnchanged
		}
		d.Safe = max(d.Safe, safe)
		return nil
	})
}

func (h *History) over(hold *Hold, now op.Timestamp) bool {
	return now > hold.Until.Add(h.holdGrace.Milliseconds())
}

// advanceHistory raises the safe point while this node leads the meta group, until it stops.
func (n *Node) advanceHistory() {
	for clock.Pause(n.ctx, between(n.cfg.HistoryRetention/64, 100*time.Millisecond, time.Minute)) {
		if meta := n.Replica(fsm.Meta); n.Ready() != nil || meta == nil || !meta.Leads() {
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
		if err := n.history.advance(ctx); err != nil && n.ctx.Err() == nil {
			n.cfg.Logger.Warn().Err(err).Msg("the safe point of the history was not raised")
		}
		cancel()
	}
}

func between(d, least, most time.Duration) time.Duration { return min(max(d, least), most) }
