package nemesis

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"kahuna/tests/cluster/fleet"
	"kahuna/tests/e2e/logfile"
)

// Reserve is the disk-reserve-bytes that nodes with disks of their own are to run with.
const Reserve = 64 << 20

// Disks are faults of disks; they need nodes that have disks of their own.
var Disks = []Fault{
	{Name: "a slow disk", Lacks: lacksDisks, Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		for range 8 {
			if err := n.Freeze(l); err != nil {
				return nil, true, err
			}
			n.Pause(100, 300)
			if err := n.Thaw(l); err != nil {
				return nil, true, err
			}
			n.Pause(10, 50)
		}
		return []int{l}, false, nil
	}},
	{Name: "a disk that hangs", Lacks: lacksDisks, Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		return []int{l}, false, n.Freeze(l)
	}},
	{Name: "a full disk", Lacks: lacksDisks, Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		return []int{l}, false, n.Fill(l, Reserve/2)
	}},
	{Name: "a disk filled to the last byte", Lacks: lacksDisks, Begin: func(n *Nemesis) ([]int, bool, error) {
		i := n.any()
		n.Fragile(i, true)
		return []int{i}, false, n.Fill(i, 0)
	}},
	{Name: "a power cut", Lacks: lacksDisks, Begin: func(n *Nemesis) ([]int, bool, error) { l := n.leader(); return []int{l}, false, n.Cut(l) }},
	{Name: "a power cut of the majority", Lacks: lacksDisks, Begin: func(n *Nemesis) ([]int, bool, error) {
		return nil, true, n.Cut(n.some(n.majority())...)
	}},
	{Name: "a power cut of all", Lacks: lacksDisks, Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.Cut(n.Members()...) }},
}

func lacksDisks(n *Nemesis) string {
	if !n.HasDisks() {
		return "the nodes have no disks of their own"
	}
	return ""
}

// Damages are faults of files.
var Damages = []Fault{
	{Name: "a torn end of the log", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		n.Kill(l)
		torn, err := logfile.TearTail(n.Rng, n.DataDir(l))
		if torn {
			n.Watch.Count("torn log ends", 1)
		}
		return []int{l}, false, err
	}},
	{Name: "a flipped bit, and the node replaced", Alone: true, Lacks: func(n *Nemesis) string {
		if len(n.Members()) < 3 {
			return "there are too few nodes to replace one"
		}
		return ""
	}, Begin: func(n *Nemesis) ([]int, bool, error) {
		i := n.any()
		return []int{i}, false, n.replaceDamaged(i)
	}},
}

// replaceDamaged flips a bit of a node's files, lets it run as long as it will, and makes it anew: another node in its place.
func (n *Nemesis) replaceDamaged(i int) error {
	id, err := n.id(i)
	if err != nil {
		return err
	}
	n.Kill(i)
	what, err := n.flip(i)
	if err != nil {
		return err
	}
	n.Fragile(i, true)
	if err := n.Start(i); err != nil {
		return err
	}
	if n.endsWithin(i, 8*time.Second) {
		n.Watch.Count("flipped bits refused", 1)
	} else {
		n.Watch.Count("flipped bits without effect", 1)
		n.Kill(i)
	}
	if err := n.Wipe(i); err != nil {
		return err
	}
	if err := n.anew(i, id); err != nil {
		return fmt.Errorf("after a flip of %s: %w", what, err)
	}
	return nil
}

// flip flips a bit in some file of a node that does not run, and tells where.
func (n *Nemesis) flip(i int) (string, error) {
	var files []string
	err := filepath.WalkDir(n.DataDir(i), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() == 0 {
			return err
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		return "", err
	}
	path := files[n.Rng.IntN(len(files))]
	at, bit, err := logfile.FlipBit(n.Rng, path)
	return fmt.Sprintf("%s byte %d bit %d", filepath.Base(path), at, bit), err
}

// endsWithin waits for a node that may end by itself.
func (n *Nemesis) endsWithin(i int, limit time.Duration) bool {
	return n.Await(limit, func() error {
		if n.Running(i) {
			return fmt.Errorf("node %d runs", i)
		}
		return nil
	}) == nil
}

// id is a running node's id.
func (n *Nemesis) id(i int) (id string, err error) {
	err = n.Await(RecoverMax, func() error {
		info, err := n.Info(i, "server")
		id = info["node_id"]
		if err == nil && id == "" {
			err = fmt.Errorf("%s does not tell its id", fleet.Name(i))
		}
		return err
	})
	return id, err
}
