// Package fleet runs a cluster of real processes for tests, each node in a network namespace of its own and, where it is asked for,
// on a disk of its own: it starts, kills, stops, replaces and asks them. It brings no faults by itself, see package nemesis.
//
// It needs root and the commands ip and nft. What a process that was killed has left behind is cleared by the next one.
package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kahuna/tests/cluster/netns"
	"kahuna/tests/e2e/rig"
)

// Ports are the same in each namespace.
const (
	ClientPort, ClusterPort, PeerPort, AdminPort = 6379, 6380, 6381, 6382
)

// PlaceMax is how long a new cluster may take until all replicas are where they are to be; many partitions take their time.
const PlaceMax = 5 * time.Minute

// Options say which cluster to run.
type Options struct {
	Nodes   int
	Spare   int    // nodes that may join later, and take no part until they are started
	Program string // the binary
	Args    []string
	// DiskBytes is the size of each node's own disk, whose power can be cut; 0: directories in memory.
	DiskBytes int64
	// Clocks says that the program takes the error of its wall clock from a file, see package skew.
	Clocks bool
	// Stopping, if any, is closed when whoever runs the fleet is to end: waits end then.
	Stopping <-chan struct{}
}

// ErrStopping says that a wait was ended by Options.Stopping.
var ErrStopping = errors.New("stopped")

// Fleet is the nodes of a cluster. It belongs to one goroutine.
type Fleet struct {
	Net     *netns.Net
	Changes int // of leaders, as Leads has seen them

	o       Options
	dir     string
	shared  bool // dir is mounted over itself
	nodes   []*node
	watched map[string]int // who led a partition last
}

// New makes a network and a cluster in it, and waits until all replicas are where they are to be. The error wraps netns.ErrNone or
// rig.ErrNoLoop when the machine or the user can't.
func New(o Options) (*Fleet, error) {
	net, err := netns.New(o.Nodes + o.Spare)
	if err != nil {
		return nil, err
	}
	clearLeft()
	f := &Fleet{Net: net, o: o, watched: map[string]int{}}
	if err := f.make(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Await(PlaceMax, f.Placed); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, f.Logs()), f.Close())
	}
	return f, nil
}

func (f *Fleet) make() (err error) {
	if f.dir, err = os.MkdirTemp(memory(), fmt.Sprintf("%s%d-", dirPrefix, os.Getpid())); err != nil {
		return err
	}
	if err := os.WriteFile(f.secret(), []byte("a secret that only tests know\n"), 0o600); err != nil {
		return err
	}
	if f.o.DiskBytes > 0 {
		if err := rig.Share(f.dir); err != nil {
			return err
		}
		f.shared = true
	}
	for i := range f.o.Nodes + f.o.Spare {
		if err := f.add(i); err != nil {
			return err
		}
	}
	for i := range f.o.Nodes {
		if err := f.Start(i); err != nil {
			return err
		}
	}
	return nil
}

// add makes the place of a node.
func (f *Fleet) add(i int) error {
	n := &node{dir: filepath.Join(f.dir, Name(i)), program: f.o.Program}
	f.nodes = append(f.nodes, n)
	if err := os.Mkdir(n.dir, 0o700); err != nil || f.o.DiskBytes == 0 {
		return err
	}
	disk, err := rig.NewDisk(n.dir, f.o.DiskBytes)
	if err != nil {
		return err
	}
	n.disk = disk
	return f.boot(i)
}

const dirPrefix = "kahuna-fleet-"

// memory is a directory in memory where there is one: what is tested is not the disk.
func memory() string {
	if s, err := os.Stat("/dev/shm"); err == nil && s.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// Close ends all nodes and removes all that was made.
func (f *Fleet) Close() error {
	f.thawAll()
	for i := range f.nodes {
		f.Kill(i)
	}
	f.Net.Close()
	var errs []error
	for _, n := range f.nodes {
		if n.disk != nil {
			errs = append(errs, n.disk.Close())
		}
	}
	if f.shared {
		errs = append(errs, rig.Unmount(f.dir))
	}
	if f.dir != "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}

func (f *Fleet) secret() string { return filepath.Join(f.dir, "secret") }

// LogFile is where a node's log is.
func (f *Fleet) LogFile(i int) string { return filepath.Join(f.dir, Name(i)+".log") }

// DataDir is a node's data directory.
func (f *Fleet) DataDir(i int) string {
	if d := f.nodes[i].disk; d != nil {
		return filepath.Join(d.Mount, "data")
	}
	return filepath.Join(f.nodes[i].dir, "data")
}

// Addr is where a node listens.
func (f *Fleet) Addr(i, port int) string { return fmt.Sprintf("%s:%d", f.Net.IP(i), port) }

// Name is what a node is called.
func Name(i int) string { return fmt.Sprint("n", i) }

// Size is how many places for nodes there are.
func (f *Fleet) Size() int { return len(f.nodes) }

// Members are the nodes that belong to the cluster, running or not.
func (f *Fleet) Members() (all []int) { return f.Others() }

// Others are all members but some.
func (f *Fleet) Others(but ...int) (all []int) {
	for i, n := range f.nodes {
		if n.member && !slices.Contains(but, i) {
			all = append(all, i)
		}
	}
	return all
}

// Spare is a place that no member has; false when there is none.
func (f *Fleet) Spare() (int, bool) {
	i := slices.IndexFunc(f.nodes, func(n *node) bool { return !n.member })
	return i, i >= 0
}

// Logs are the ends of the nodes' logs.
func (f *Fleet) Logs() string {
	var b strings.Builder
	for _, i := range f.Members() {
		text, _ := os.ReadFile(f.LogFile(i))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "node %d:\n%s\n", i, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return b.String()
}
