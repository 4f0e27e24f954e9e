package lockrun

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"kahuna/client"
)

// Bounds of what is asked of a server.
const (
	reachTimeout = 10 * time.Second // to find a server that answers
	unreachable  = 3 * time.Second  // to find one that can be connected to, before any was
	callTimeout  = 6 * time.Second  // for one answer; servers answer within 5 s, if only that there is no quorum
	waitSlack    = 3 * time.Second  // beyond the wait, for the answer that it is over
)

// first is how a call is tried that may be the first. All calls may be repeated, as they name their owner.
var first = client.Policy{Attempt: callTimeout, Unreachable: unreachable, Repeatable: true}

// holder takes locks and knows what it holds.
type holder struct {
	lock   Lock
	c      *client.Client // for calls that may wait
	keeper *client.Client // renews what is held meanwhile, and after
	tokens map[string]int64
	ends   time.Time // before the first of the leases ends
	asked  bool      // a server may have heard of a lock that is wanted
}

// note notes whether a call may have been heard.
func (h *holder) note(err error) error {
	if unreachable := (*client.UnreachableError)(nil); !errors.As(err, &unreachable) {
		h.asked = true
	}
	return err
}

func newHolder(l Lock, o client.Options) *holder {
	return &holder{lock: l, c: client.New(o), keeper: client.New(o), tokens: map[string]int64{}}
}

func (h *holder) close() {
	h.c.Close()
	h.keeper.Close()
}

// acquire takes all locks, or none and gives a reason: *HeldError, an error of the client, or the cause of ctx. The leases
// then last for most of the ttl. After an error release must still be called: what came too late may be held.
func (h *holder) acquire(ctx context.Context) error {
	until := time.Now().Add(h.lock.Wait)
	if h.lock.Wait > 0 {
		if err := h.reach(ctx); err != nil {
			return err
		}
	}
	for {
		held, err := h.acquireOnce(ctx, until)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			err := h.freshen(ctx)
			if !errors.Is(err, errTaken) {
				return err
			}
			held = h.lock.Names // a lease ended between the grant and now
		}
		if time.Until(until) <= 0 {
			return &HeldError{held, h.lock.Wait}
		}
	}
}

// reach finds out that there is a server at all: a wait must not hide a wrong address. A short one is not meant for the way there.
func (h *holder) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(reachTimeout, max(unreachable, h.lock.Wait)))
	defer cancel()
	return h.c.Try(ctx, first, func(ctx context.Context) error {
		_, err := h.c.Do(ctx, "PING")
		return err
	})
}

// acquireOnce goes once for all locks. It gives those that others hold, and none is held then.
func (h *holder) acquireOnce(ctx context.Context, until time.Time) (held []string, err error) {
	if len(h.lock.Names) == 1 {
		return h.one(ctx, h.lock.Names[0], until)
	}
	held, err = h.tryAll(ctx)
	if err != nil || len(held) == 0 {
		return held, err
	}
	h.release(ctx)
	if h.lock.Wait == 0 {
		return held, nil
	}
	return h.inOrder(ctx, until)
}

// inOrder waits for all locks in the order of their names.
func (h *holder) inOrder(ctx context.Context, until time.Time) (held []string, err error) {
	names := slices.Sorted(slices.Values(h.lock.Names))
	for i, name := range names {
		err = h.keeping(ctx, names[:i], func(ctx context.Context) error {
			held, err = h.one(ctx, name, until)
			return err
		})
		if errors.Is(err, errTaken) {
			held, err = names[:i], nil
		}
		if err != nil || len(held) > 0 {
			h.release(ctx)
			return held, err
		}
	}
	return nil, nil
}

// keeping renews names while do runs, and ends it with errTaken when one is lost.
func (h *holder) keeping(ctx context.Context, names []string, do func(context.Context) error) error {
	if len(names) == 0 {
		return do(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	held, ends := h.grants(names), h.ends
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(h.keep(ctx, held, ends, func(time.Time) {}))
	}()
	err := do(ctx)
	cancel(nil)
	<-done
	if errors.Is(context.Cause(ctx), errTaken) {
		return errTaken
	}
	return err
}

// one takes one lock. It gives its name when another owner has it, after waiting.
func (h *holder) one(ctx context.Context, name string, until time.Time) (held []string, err error) {
	ctx, cancel := h.bound(ctx, until)
	defer cancel()
	policy := first
	if h.lock.Wait > 0 {
		policy.Attempt, policy.Unreachable = 0, 0 // it may wait as long as ctx, and a server was there before
	}
	err = h.c.Try(ctx, policy, func(ctx context.Context) error {
		sent := time.Now()
		r, err := h.c.Do(ctx, h.lockCommand(name, until)...)
		if h.note(err) != nil {
			return err
		}
		held = h.granted(name, r, sent)
		return nil
	})
	return held, err
}

// bound is ctx with an end for what waits until then, or for a call.
func (h *holder) bound(ctx context.Context, until time.Time) (context.Context, context.CancelFunc) {
	if h.lock.Wait == 0 {
		return context.WithTimeout(ctx, reachTimeout)
	}
	return context.WithTimeout(ctx, max(0, time.Until(until))+waitSlack)
}

// granted notes the answer to LOCK. It gives the name when that was no.
func (h *holder) granted(name string, r client.Reply, sent time.Time) (held []string) {
	if r.Nil() {
		return []string{name}
	}
	if ends := sent.Add(h.lock.TTL); len(h.tokens) == 0 || ends.Before(h.ends) {
		h.ends = ends
	}
	h.tokens[name] = r.Int
	return nil
}

// grant is a lock that is held, and with which token.
type grant struct {
	name  string
	token int64
}

func (h *holder) grants(names []string) []grant {
	all := make([]grant, len(names))
	for i, name := range names {
		all[i] = grant{name, h.tokens[name]}
	}
	return all
}

// tryAll asks for all locks in one transaction and gives those that others hold. The rest it may have got.
func (h *holder) tryAll(ctx context.Context) (held []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	commands := [][]string{{"MULTI"}}
	for _, name := range h.lock.Names {
		commands = append(commands, h.lockCommand(name, time.Time{}))
	}
	commands = append(commands, []string{"EXEC"})
	err = h.c.Try(ctx, first, func(ctx context.Context) error {
		held = nil
		clear(h.tokens)
		sent := time.Now()
		results, err := h.transact(ctx, commands)
		for i, r := range results {
			held = append(held, h.granted(h.lock.Names[i], r, sent)...)
		}
		return h.note(err)
	})
	return held, err
}

// transact runs MULTI ... EXEC and gives what the commands between them answered.
func (h *holder) transact(ctx context.Context, commands [][]string) ([]client.Reply, error) {
	replies, err := h.c.Pipeline(ctx, commands...)
	if err != nil {
		return nil, err
	}
	for _, r := range replies[1 : len(replies)-1] {
		if err := r.Err(); err != nil {
			return nil, err // and not that EXEC was aborted because of it
		}
	}
	exec := replies[len(replies)-1]
	if err := exec.Err(); err != nil {
		return nil, err
	}
	if len(exec.Parts) != len(commands)-2 {
		return nil, errors.New("EXEC answered something else than was asked")
	}
	for _, r := range exec.Parts {
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	return exec.Parts, nil
}

// lockCommand asks for one lock and waits for it until then; the zero time: not at all.
func (h *holder) lockCommand(name string, until time.Time) []string {
	args := []string{"LOCK", name, h.lock.Owner, millis(h.lock.TTL)}
	if wait := time.Until(until); wait >= time.Millisecond {
		args = append(args, "WAIT", millis(wait))
	}
	switch {
	case h.lock.Shared:
		args = append(args, "SHARED")
	case h.lock.Permits > 0:
		args = append(args, "PERMITS", strconv.Itoa(h.lock.Permits))
	}
	return args
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// How long giving locks back may hold up the end: at most and, for leases that end before that, at least.
const (
	releaseTimeout = 2 * time.Second
	releaseLeast   = 200 * time.Millisecond
)

// release gives back all locks, also those that only may be held. An error: they end by themselves with their leases.
func (h *holder) release(ctx context.Context) error {
	if !h.asked {
		return nil
	}
	timeout := releaseTimeout
	if len(h.tokens) > 0 {
		timeout = min(timeout, max(time.Until(h.ends), releaseLeast))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	clear(h.tokens)
	var commands [][]string
	for _, name := range h.lock.Names {
		commands = append(commands, []string{"UNLOCK", name, h.lock.Owner})
	}
	return h.c.Try(ctx, client.Policy{Attempt: timeout / 2, Repeatable: true}, func(ctx context.Context) error {
		replies, err := h.c.Pipeline(ctx, commands...)
		for i := range replies {
			err = errors.Join(err, replies[i].Err())
		}
		return err
	})
}
