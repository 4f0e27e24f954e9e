package main

import (
	"fmt"
	"path/filepath"
	"time"

	"kahuna/tests/cluster/audit"
	"kahuna/tests/cluster/fleet"
	"kahuna/tests/cluster/nemesis"
)

// keptMilli is for how long a record may tell what became of a transaction: transaction-record-ms, by default.
const keptMilli = 15 * 60 * 1000

// auditTries is how often everything is looked at until nothing is left behind and all replicas are at the same index: nodes that end
// at one moment may do so in the middle of something, and what a killed coordinator has left is ended within half a minute.
const auditTries = 6

// audit ends all nodes at one moment, looks at everything that is stored, and starts them again.
func (c *campaign) audit() error {
	began := time.Now()
	var r audit.Report
	for try := 1; ; try++ {
		if err := c.fleet.Await(3*nemesis.RecoverMax, c.fleet.Placed); err != nil {
			return err
		}
		c.nemesis.Pause(2000, 500)
		var err error
		if r, err = c.look(); err != nil {
			return err
		}
		if len(r.Violations) > 0 {
			return &violation{r.Violations}
		}
		unfinished := append(r.Left, r.Behind...)
		if len(unfinished) == 0 {
			break
		}
		if try == auditTries {
			return &violation{unfinished}
		}
		c.say("everything stored: %d things are not finished, first: %.150s", len(unfinished), unfinished[0])
		if err := c.restart(); err != nil {
			return err
		}
		c.nemesis.Pause(10_000, 1000)
	}
	text := fmt.Sprintf("everything stored: %d keys in %d partitions, %d replicas the same byte for byte, nothing left behind", r.Keys, r.Partitions, r.Replicas)
	c.audits = append(c.audits, text)
	c.say("%s (%.1f s)", text, time.Since(began).Seconds())
	if err := c.restart(); err != nil {
		return err
	}
	return c.fleet.Await(3*nemesis.RecoverMax, c.fleet.Placed)
}

// look ends all nodes, and reads what they have stored.
func (c *campaign) look() (audit.Report, error) {
	members := c.fleet.Members()
	c.fleet.Kill(members...)
	var stores []*audit.Store
	for _, i := range members {
		s, err := audit.Read(fleet.Name(i), filepath.Join(c.fleet.DataDir(i), "store"), c.fleet.BootID(i))
		if err != nil {
			return audit.Report{}, err
		}
		stores = append(stores, s)
	}
	return audit.Judge(stores, keptMilli), nil
}

func (c *campaign) restart() error {
	for _, i := range c.fleet.Members() {
		if err := c.fleet.Start(i); err != nil {
			return err
		}
	}
	return nil
}
