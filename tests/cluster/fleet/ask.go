package fleet

import (
	"fmt"
	"strings"
	"time"

	"kahuna/tests/e2e/wire"
)

// Do has a node do one command. A reply that is an error is an error.
func (f *Fleet) Do(i int, timeout time.Duration, args ...string) (*wire.Reply, error) {
	c, err := wire.Dial(f.Addr(i, ClientPort), 2*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r, err := c.Patient(timeout).Do(args...)
	if err == nil && r.Err() != "" {
		err = fmt.Errorf("node %d: %s: %s", i, strings.Join(args, " "), r.Err())
	}
	return r, err
}

// Info asks a node about itself.
func (f *Fleet) Info(i int, section string) (map[string]string, error) {
	r, err := f.Do(i, 2*time.Second, "INFO", section)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(r.Text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// Placed tells what is still to be done until all members have their replicas, and each has a leader.
func (f *Fleet) Placed() error {
	members := f.Members()
	for _, i := range members {
		info, err := f.Info(i, "cluster")
		switch {
		case err != nil:
			return err
		case info["nodes"] != fmt.Sprint(len(members)) || info["placement"] != "complete":
			return fmt.Errorf("node %d: %s nodes, %s", i, info["nodes"], info["placement"])
		}
	}
	return nil
}

// Stopping is Options.Stopping.
func (f *Fleet) Stopping() <-chan struct{} { return f.o.Stopping }

// Await asks until nothing is missing. It is an error when a node ends by itself that may not.
func (f *Fleet) Await(limit time.Duration, missing func() error) error {
	over, again := time.NewTimer(limit), time.NewTicker(50*time.Millisecond)
	defer over.Stop()
	defer again.Stop()
	for {
		err := missing()
		if died := f.died(); died != nil || err == nil {
			return died
		}
		select {
		case <-f.o.Stopping:
			return ErrStopping
		case <-over.C:
			return fmt.Errorf("not within %v: %w", limit, err)
		case <-again.C:
		}
	}
}

// Leads gives the nodes that say that they lead a partition, by its id, and notes changes.
func (f *Fleet) Leads() map[string]int {
	now := map[string]int{}
	for _, i := range f.Members() {
		if !f.Running(i) || f.Stopped(i) {
			continue
		}
		info, err := f.Info(i, "cluster")
		if err != nil || info["leads"] == "" {
			continue
		}
		for id := range strings.SplitSeq(info["leads"], ",") {
			now[id] = i
		}
	}
	for id, i := range now {
		if before, known := f.watched[id]; known && before != i {
			f.Changes++
		}
		f.watched[id] = i
	}
	return now
}
