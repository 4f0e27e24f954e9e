package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kahuna/tests/cluster/fleet"
	"kahuna/tests/cluster/load"
	"kahuna/tests/cluster/nemesis"
	"kahuna/tests/cluster/skew"
)

// replication is that of the partitions: with more nodes than that, replicas can move.
const replication = 3

// campaign is one run. It belongs to one goroutine.
type campaign struct {
	o       options
	ctx     context.Context
	began   time.Time
	builds  string // the directory of the binaries
	fleet   *fleet.Fleet
	nemesis *nemesis.Nemesis
	deck    *nemesis.Deck
	lacking map[string]string // faults that can't be brought here, and why

	round   *round // under way, or the last
	counts  map[string]int
	checked int
	audits  []string
}

// violation is a promise that was broken, as against a rig that does not work.
type violation struct{ found []string }

func (v *violation) Error() string {
	const shown = 12
	text := strings.Join(v.found[:min(shown, len(v.found))], "\n")
	if more := len(v.found) - shown; more > 0 {
		text += fmt.Sprintf("\nand %d more", more)
	}
	return fmt.Sprintf("%d violations:\n%s", len(v.found), text)
}

func newCampaign(ctx context.Context, o options) (c *campaign, err error) {
	c = &campaign{o: o, ctx: ctx, counts: map[string]int{}, lacking: map[string]string{}}
	if c.builds, err = os.MkdirTemp("", "kahuna-campaign-build-"); err != nil {
		return nil, err
	}
	before, now, err := c.build()
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.began = time.Now()
	c.fleet, err = fleet.New(fleet.Options{Nodes: o.nodes, Spare: o.spare, Program: before, DiskBytes: o.diskMiB << 20, Clocks: true, Stopping: ctx.Done(),
		Args: []string{"--partitions", fmt.Sprint(o.partitions), "--replication-factor", fmt.Sprint(replication), "--log-segment-bytes", "8388608",
			"--checkpoint-interval-ms", "2000", "--disk-reserve-bytes", fmt.Sprint(nemesis.Reserve), "--history-retention-ms", "600000"}})
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	rng := rand.New(rand.NewPCG(o.seed, 0))
	c.nemesis = &nemesis.Nemesis{Fleet: c.fleet, Rng: rng, Replication: min(replication, o.nodes), Builds: [2]string{before, now}}
	var faults []nemesis.Fault
	for _, f := range nemesis.All() {
		switch why := c.lacks(f); {
		case why != "":
			c.lacking[f.Name] = why
			c.say("not brought: %s: %s", f.Name, why)
		case strings.Contains(f.Name, o.only):
			faults = append(faults, f)
		}
	}
	if len(faults) == 0 {
		return nil, errors.Join(fmt.Errorf("no fault has %q in its name", o.only), c.close())
	}
	c.deck = nemesis.NewDeck(rng, faults)
	return c, nil
}

func (c *campaign) lacks(f nemesis.Fault) string {
	if f.Lacks == nil {
		return ""
	}
	return f.Lacks(c.nemesis)
}

// build makes the two binaries between which nodes are upgraded, both with a wall clock that can be set.
func (c *campaign) build() (before, now string, err error) {
	c.say("building the program twice, with a clock that can be set; the first time this compiles all of Go's library")
	if now, err = c.buildOf(c.o.root, "now"); err != nil {
		return "", "", err
	}
	from := c.o.root
	if c.o.from != "" {
		if from, err = c.checkOut(); err != nil {
			return "", "", err
		}
	}
	before, err = c.buildOf(from, "before")
	return before, now, err
}

func (c *campaign) buildOf(root, version string) (string, error) {
	dir := filepath.Join(c.builds, version)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return skew.Build(root, dir, version)
}

// checkOut gets the sources of the revision that is upgraded from.
func (c *campaign) checkOut() (string, error) {
	dir := filepath.Join(c.builds, "sources")
	script := `mkdir "$2" && git archive "$1" | tar -x -C "$2"`
	cmd := exec.CommandContext(c.ctx, "sh", "-ec", script, "sh", c.o.from, dir)
	cmd.Dir = c.o.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("git archive %s: %w: %s", c.o.from, err, out)
	}
	return dir, nil
}

func (c *campaign) close() (err error) {
	if c.fleet != nil {
		err = c.fleet.Close()
	}
	return errors.Join(err, os.RemoveAll(c.builds))
}

// say shows progress.
func (c *campaign) say(format string, args ...any) {
	at := time.Duration(0)
	if !c.began.IsZero() {
		at = time.Since(c.began)
	}
	fmt.Printf("[%3d:%02d] %s\n", int(at.Minutes()), int(at.Seconds())%60, fmt.Sprintf(format, args...))
}

// auditEvery is after how many rounds everything that is stored is looked at; and always at the end.
const auditEvery = 3

// rounds go on until the time is over.
func (c *campaign) rounds() error {
	end := c.began.Add(time.Duration(c.o.minutes * float64(time.Minute)))
	for k := 1; time.Now().Before(end) || k == 1; k++ {
		if err := c.runRound(k, end); err != nil {
			return fmt.Errorf("round %d: %w", k, err)
		}
		if k%auditEvery == 0 && time.Now().Before(end) {
			if err := c.audit(); err != nil {
				return err
			}
		}
	}
	if err := c.audit(); err != nil {
		return err
	}
	for _, i := range c.fleet.Members() {
		if err := c.fleet.Stop(i); err != nil {
			return err
		}
	}
	return load.Floors(c.counts, c.floors())
}

// floors are what a run must have seen: it proves nothing else.
func (c *campaign) floors() map[string]int {
	floors := map[string]int{"changes of leader": 1, "answered around faults": 1}
	given := 0
	for what, n := range c.counts {
		if strings.HasPrefix(what, "fault: ") {
			given += n
		}
	}
	if c.o.only == "" && given >= 3*len(nemesis.All()) { // long enough for all of them
		floors["dropped packets"] = 1
		for _, f := range nemesis.All() {
			if c.lacking[f.Name] == "" {
				floors["fault: "+f.Name] = 1
			}
		}
	}
	return floors
}

// report says what was done to the system, and what was checked.
func (c *campaign) report(outcome string) {
	given := 0
	var faults, rest []string
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		if name, is := strings.CutPrefix(what, "fault: "); is {
			given += c.counts[what]
			faults = append(faults, fmt.Sprintf("  %4d  %s", c.counts[what], name))
		} else if !strings.HasPrefix(what, "answered by") {
			rest = append(rest, fmt.Sprintf("  %7d  %s", c.counts[what], what))
		}
	}
	fmt.Printf("\nWhat was done to the system:\n%s\n", strings.Join(faults, "\n"))
	for _, name := range slices.Sorted(maps.Keys(c.lacking)) {
		fmt.Printf("     0  %s: %s\n", name, c.lacking[name])
	}
	fmt.Printf("\nWhat happened, and what was looked at:\n%s\n", strings.Join(rest, "\n"))
	for _, a := range c.audits {
		fmt.Println(" ", a)
	}
	fmt.Printf("\n%s: seed %d, %v, %d faults, %d operations checked, %d looks at everything stored\n", outcome, c.o.seed, time.Since(c.began).Round(time.Second), given, c.checked, len(c.audits))
}
