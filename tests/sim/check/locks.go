package check

import (
	"bytes"
	"slices"
	"time"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// hold is all that one owner did with one lock. An owner asks for a lock, keeps it alive, releases it, and its name is not used
// again for it after a release.
type hold struct {
	owner    string
	shared   bool             // asked for as a reader
	permits  uint32           // how many owners there may be; 0: as shared says
	leases   []*history.Event // acquisitions and extensions that were granted
	maybe    []*history.Event // acquisitions and extensions whose end is not known
	refused  []*history.Event // extensions that found no hold
	releases []*history.Event // whatever their end
}

// Locks judges locks: never two owners at a time unless both are readers or there are permits for them, no lease ended early, tokens
// that rise and belong to one owner. An owner asks for a lock in one mode always, and all name the same number of permits. A lease of ttl is certain to last until ttl after its request was sent, not longer, so only that is held against the cluster.
func Locks(events []*history.Event) (found []Violation) {
	owners := map[int64]*history.Event{}
	for _, of := range history.ByName(events) {
		holds := byOwner(of)
		found = append(found, tokens(of, holds, owners)...)
		found = append(found, exclusion(holds)...)
		found = append(found, permits(holds)...)
		found = append(found, keptAlive(holds)...)
		found = append(found, shown(of, holds)...)
	}
	return found
}

func byOwner(events []*history.Event) map[string]*hold {
	holds := map[string]*hold{}
	for _, e := range events {
		owner := ownerOf(e.Op)
		if owner == "" {
			continue
		}
		h := holds[owner]
		if h == nil {
			h = &hold{owner: owner}
			holds[owner] = h
		}
		if o, acquire := e.Op.(*op.LockAcquire); acquire {
			h.shared, h.permits = o.Shared, o.Permits
		}
		h.add(e)
	}
	return holds
}

func (h *hold) add(e *history.Event) {
	_, release := e.Op.(*op.LockRelease)
	_, extend := e.Op.(*op.LockExtend)
	switch {
	case release:
		h.releases = append(h.releases, e)
	case !e.Known():
		h.maybe = append(h.maybe, e)
	case e.Result.Done:
		h.leases = append(h.leases, e)
	case extend:
		h.refused = append(h.refused, e)
	}
}

func ownerOf(o op.Op) string {
	switch o := o.(type) {
	case *op.LockAcquire:
		return string(o.Owner)
	case *op.LockExtend:
		return string(o.Owner)
	case *op.LockRelease:
		return string(o.Owner)
	}
	return ""
}

func ttlOf(o op.Op) time.Duration {
	switch o := o.(type) {
	case *op.LockAcquire:
		return time.Duration(o.TTLMilli) * time.Millisecond
	case *op.LockExtend:
		return time.Duration(o.TTLMilli) * time.Millisecond
	}
	return 0
}

// certain is the time during which the owner certainly held the lock because of a lease: from its end, that is when it was known,
// until ttl after its call. An extension that may have come after it may have shortened it, to ttl after the later of the two
// calls; a release may have ended it from its call on, before the lease if its end is not known.
func (h *hold) certain(lease *history.Event) span {
	s := span{lease.Return, lease.Call + ttlOf(lease.Op)}
	for _, list := range [][]*history.Event{h.leases, h.maybe} {
		for _, e := range list {
			if _, extend := e.Op.(*op.LockExtend); extend && e != lease && !e.Before(lease) {
				s.to = min(s.to, max(lease.Call, e.Call)+ttlOf(e.Op))
			}
		}
	}
	for _, e := range h.releases {
		if !e.Before(lease) {
			s.to = min(s.to, e.Call)
		}
	}
	return s
}

// excludes tells whether two owners can't hold a lock at a time, whoever else does.
func (h *hold) excludes(b *hold) bool {
	return !(h.shared && b.shared) && !(h.permits > 1 && b.permits > 1)
}

// permits: nobody was granted one while as many others as there are certainly held one.
func permits(holds map[string]*hold) (found []Violation) {
	for _, b := range holds {
		if b.permits < 2 {
			continue
		}
		for _, granted := range b.leases {
			if _, extend := granted.Op.(*op.LockExtend); extend {
				continue
			}
			beside := []*history.Event{granted}
			for _, a := range holds {
				if lease := a.during(granted); a != b && lease != nil {
					beside = append(beside, lease)
				}
			}
			if len(beside) > int(b.permits) {
				found = append(found, violation("locks", beside, "more owners than permits"))
			}
		}
	}
	return found
}

// during is a lease by which the owner certainly held the lock all the while that another was granted it.
func (h *hold) during(granted *history.Event) *history.Event {
	for _, lease := range h.leases {
		if h.certain(lease).holds(granted.Call, granted.Return) {
			return lease
		}
	}
	return nil
}

// exclusion: at no time two owners certainly held a lock, and nobody was granted it while another certainly held it.
func exclusion(holds map[string]*hold) (found []Violation) {
	for _, a := range holds {
		for _, lease := range a.leases {
			certain := a.certain(lease)
			for _, b := range holds {
				if b == a || !a.excludes(b) {
					continue
				}
				for _, other := range b.leases {
					if overlap(certain, b.certain(other)) || certain.holds(other.Call, other.Return) {
						found = append(found, violation("locks", []*history.Event{lease, other}, "two owners at a time"))
					}
				}
			}
		}
	}
	return found
}

func overlap(a, b span) bool { return max(a.from, b.from) < min(a.to, b.to) }

// keptAlive: who extends a lease in time still has it.
func keptAlive(holds map[string]*hold) (found []Violation) {
	for _, h := range holds {
		for _, late := range h.refused {
			for _, lease := range h.leases {
				if h.certain(lease).holds(late.Call, late.Return) {
					found = append(found, violation("locks", []*history.Event{lease, late}, "a lease ended early"))
				}
			}
		}
	}
	return found
}

// shown: a look at a lock that is certainly held sees its owner.
func shown(events []*history.Event, holds map[string]*hold) (found []Violation) {
	for _, e := range known(events) {
		if _, info := e.Op.(*op.LockInfo); !info {
			continue
		}
		for _, h := range holds {
			for _, lease := range h.leases {
				if h.certain(lease).holds(e.Call, e.Return) && !sees(e, h, lease.Result.Int) {
					found = append(found, violation("locks", []*history.Event{lease, e}, "a look at a held lock did not see its owner"))
				}
			}
		}
	}
	return found
}

func sees(e *history.Event, h *hold, token int64) bool {
	s := e.Result.Lock
	if s == nil || len(s.Holds) > 1 && h.excludes(h) {
		return false
	}
	for _, seen := range s.Holds {
		if string(seen.Owner) == h.owner && int64(seen.Token) == token {
			return true
		}
	}
	return false
}

// newest tells whether an answer bears the newest token of the lock. One owner at a time always does; of several, whoever asks for the
// first time.
func (h *hold) newest(e *history.Event) bool {
	if h.excludes(h) {
		return true
	}
	for _, list := range [][]*history.Event{h.leases, h.maybe} {
		for _, other := range list {
			if other.Call < e.Call {
				return false
			}
		}
	}
	return true
}

// tokens: a token belongs to one owner, of one lock, and of two grants in a row the later one has no smaller token. owners is about
// all locks.
func tokens(events []*history.Event, holds map[string]*hold, owners map[int64]*history.Event) (found []Violation) {
	var granted []*history.Event
	for _, e := range known(events) {
		if ttlOf(e.Op) > 0 && e.Result.Done {
			granted = append(granted, e)
		}
	}
	owned := granted
	granted = slices.DeleteFunc(slices.Clone(granted), func(e *history.Event) bool { return !holds[ownerOf(e.Op)].newest(e) })
	for _, e := range owned {
		first := owners[e.Result.Int]
		if first == nil {
			owners[e.Result.Int] = e
		} else if ownerOf(first.Op) != ownerOf(e.Op) || !bytes.Equal(first.Op.Target().Key, e.Op.Target().Key) {
			found = append(found, violation("locks", []*history.Event{first, e}, "two owners of one token"))
		}
	}
	ends := history.ByReturn(granted)
	var largest *history.Event
	for _, e := range history.ByCall(granted) {
		for len(ends) > 0 && ends[0].Before(e) {
			if largest == nil || ends[0].Result.Int > largest.Result.Int {
				largest = ends[0]
			}
			ends = ends[1:]
		}
		if largest != nil && e.Result.Int < largest.Result.Int {
			found = append(found, violation("locks", []*history.Event{largest, e}, "a token went back"))
		}
	}
	return found
}
