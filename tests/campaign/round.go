package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"kahuna/op"
	"kahuna/tests/campaign/work"
	"kahuna/tests/cluster/fleet"
	"kahuna/tests/cluster/load"
	"kahuna/tests/cluster/nemesis"
	"kahuna/tests/cluster/remote"
)

// handsPerRound is how many times faults are brought before the work is judged: a round takes a minute or two.
const handsPerRound = 6

// How many clients there are of each kind.
const (
	mixed, appending, transferring, looking, remembering = 6, 4, 2, 2, 1
)

// round is some minutes of work on names of its own, under faults, and the verdict.
type round struct {
	c       *campaign
	seed    uint64
	world   *load.World
	appends *work.Appends
	bank    *work.Bank
	past    *work.Past
	feeds   []*work.Feed
	clients int
	final   load.Final
	version map[string][]op.Item
}

// floors are what every round must have seen.
var floors = map[string]int{"Set": 20, "Get": 20, "Incr": 10, "LockAcquire": 10, "SeqNext": 10, "timestamps": 10, "transfers": 3, "looks": 3,
	"append exec": 5, "append optimistic": 3, "append pessimistic": 3, "append script": 3, "append plain": 3, "append readonly": 3,
	"dependencies ww": 5, "dependencies wr": 5, "dependencies rw": 5,
	"bank transfers": 5, "bank looks": 10, "reads of the past": 10, "feed pages": 10, "feed changes": 50, "answered around faults": 1}

func (c *campaign) runRound(k int, end time.Time) error {
	prefix := fmt.Sprintf("%d.", k)
	seed := c.o.seed + uint64(k)<<32
	w := load.New(prefix, seed)
	w.Pause = 60 * time.Millisecond
	r := &round{c: c, seed: seed, world: w, appends: work.NewAppends(w, prefix+"x"), bank: work.NewBank(w, prefix+"b"), past: work.NewPast(w, w.Registers())}
	c.round, c.nemesis.Watch = r, w
	dropped, changes := c.fleet.Net.Dropped(), c.fleet.Changes
	stop, err := r.start()
	if err != nil {
		return err
	}
	for hand := 0; hand < handsPerRound && (time.Now().Before(end) || hand < 2) && err == nil; hand++ {
		err = c.bring(k, c.deck.Next())
	}
	err = errors.Join(err, c.nemesis.Heal())
	stop()
	w.Count("changes of leader", c.fleet.Changes-changes)
	w.Count("dropped packets", c.fleet.Net.Dropped()-dropped)
	if err == nil {
		err = r.finish()
	}
	if err == nil {
		err = r.judge()
	}
	if err != nil {
		return err
	}
	counts := w.Counts()
	for what, n := range counts {
		c.counts[what] += n
	}
	checked := w.Checked() + counts["append transactions"] + counts["bank looks"] + counts["reads of the past"] + counts["feed changes"]
	c.checked += checked
	c.say("round %d: %d operations checked, %d changes of leader, 0 violations", k, checked, counts["changes of leader"])
	return nil
}

func (c *campaign) bring(k int, hand []nemesis.Fault) error {
	var names []string
	for _, f := range hand {
		names = append(names, f.Name)
	}
	began := time.Now()
	if err := c.nemesis.Bring(hand...); err != nil {
		return err
	}
	c.say("round %d: %s: served again, %.1f s in all", k, strings.Join(names, " + "), time.Since(began).Seconds())
	return nil
}

// targets are all places for nodes, as one client reaches them.
func (r *round) targets() (all []*remote.Target) {
	for i := range r.c.fleet.Size() {
		all = append(all, remote.New(r.world, fleet.Name(i), r.c.fleet.Addr(i, fleet.ClientPort)))
	}
	return all
}

// client makes one more client.
func (r *round) client() *work.Client {
	r.clients++
	return &work.Client{ID: r.clients, Rng: rand.New(rand.NewPCG(r.seed, uint64(5000+r.clients))), Targets: r.targets()}
}

// start has all clients begin their work.
func (r *round) start() (stop func(), err error) {
	from, err := r.now(r.client())
	if err != nil {
		return nil, err
	}
	for _, prefix := range []string{r.world.Prefix(), r.world.Prefix() + "b"} {
		r.feeds = append(r.feeds, work.NewFeed(r.world, prefix, from))
	}
	stopMixed := r.world.Run(mixed, func(int) (all []load.Target) {
		for _, t := range r.targets() {
			t.LockWait = 300 * time.Millisecond
			all = append(all, t)
		}
		return all
	})
	g := work.NewGroup()
	many := func(n int, pause time.Duration, step func(*work.Client)) {
		for range n {
			g.Go(r.client(), pause, step)
		}
	}
	many(appending, 80*time.Millisecond, r.appends.Step)
	many(transferring, 100*time.Millisecond, r.bank.Transfer)
	many(looking, 120*time.Millisecond, r.bank.Look)
	many(remembering, 100*time.Millisecond, r.past.Step)
	for _, f := range r.feeds {
		many(1, 100*time.Millisecond, f.Step)
	}
	return func() { stopMixed(); g.Stop() }, nil
}

// now is a timestamp after everything that has ended.
func (r *round) now(c *work.Client) (ts op.Timestamp, err error) {
	err = r.c.fleet.Await(nemesis.RecoverMax, func() error {
		var end load.Outcome
		if ts, end = c.Target().Timestamps(1); end != load.Answered {
			c.Leave()
			return errors.New("TIMESTAMP has no answer")
		}
		return nil
	})
	return ts, err
}

// finish asks for everything, when all is healed and nobody writes any more.
func (r *round) finish() (err error) {
	client := r.client()
	await := func(missing func(*work.Client) error) error {
		return r.c.fleet.Await(nemesis.RecoverMax, func() error { return missing(client) })
	}
	ask := func(o op.Op) (res op.Result, err error) {
		err = await(func(c *work.Client) error {
			var end load.Outcome
			if res, end = c.Target().Do(o); end != load.Answered {
				c.Leave()
				return fmt.Errorf("no answer to %q", remote.Command(o))
			}
			return nil
		})
		return res, err
	}
	if err := r.c.fleet.Await(nemesis.RecoverMax+load.LeaseMax, func() error {
		held, err := r.world.Free(ask)
		if err == nil && held != "" {
			return fmt.Errorf("lock %s is still held", held)
		}
		return err
	}); err != nil {
		return err
	}
	for _, missing := range []func(*work.Client) error{r.appends.Finish, r.bank.Finish, r.caughtUp()} {
		if err := await(missing); err != nil {
			return err
		}
	}
	if r.version, err = r.versions(ask); err != nil {
		return err
	}
	if r.final, err = r.world.Finish(ask); err != nil {
		return err
	}
	return r.c.fleet.Await(3*nemesis.RecoverMax, r.c.fleet.Placed)
}

// caughtUp has the feeds go on to what is now the present.
func (r *round) caughtUp() func(*work.Client) error {
	var upTo op.Timestamp
	return func(c *work.Client) (err error) {
		if upTo == 0 {
			if upTo, err = r.now(c); err != nil {
				return err
			}
		}
		for _, f := range r.feeds {
			if f.At() < upTo {
				f.Step(c)
				return fmt.Errorf("a feed is at %d, and now is %d", f.At(), upTo)
			}
		}
		return nil
	}
}

// versionsMax is the most that a server tells of one key.
const versionsMax = 10_000

func (r *round) versions(ask load.Ask) (map[string][]op.Item, error) {
	all := map[string][]op.Item{}
	for _, key := range append(append(r.world.Keys(), r.bank.Keys()...), r.appends.Keys()...) {
		res, err := ask(&op.History{Key: []byte(key), Limit: versionsMax})
		if err != nil {
			return nil, err
		}
		all[key] = res.Items
	}
	return all, nil
}

// judge judges all that the clients saw.
func (r *round) judge() error {
	found := r.world.Verdict(r.final, r.c.keepDir())
	found = append(found, r.appends.Verdict()...)
	found = append(found, r.bank.Verdict()...)
	found = append(found, r.past.Verdict(r.version)...)
	found = append(found, r.feeds[0].Verdict(r.version)...)
	found = append(found, r.feeds[1].Verdict(within(r.version, r.bank.Keys()))...)
	if len(found) > 0 {
		return &violation{found}
	}
	return load.Floors(r.world.Counts(), floors)
}

func within(versions map[string][]op.Item, keys []string) map[string][]op.Item {
	some := map[string][]op.Item{}
	for _, key := range keys {
		some[key] = versions[key]
	}
	return some
}
