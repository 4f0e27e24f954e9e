package cluster

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"kahuna/tests/cluster/fleet"
	"kahuna/tests/cluster/netns"
	"kahuna/tests/e2e/rig"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "of all random choices; 0: a new one")
	minutesFlag   = flag.Float64("minutes", 0, "how long faults go on; 0: a few of them, half a minute or so")
	nodesFlag     = flag.Int("nodes", 3, "of the cluster, 3 to 5")
	failoversFlag = flag.Int("failovers", 0, "how often TestFailover kills a leader and measures; 0: not at all")
	idleFlag      = flag.Bool("idle", false, "TestIdle measures what idle partitions cost")
	partitionFlag = flag.Int("partitions", 64, "of TestIdle's cluster")
)

// root is the module's directory.
var root = filepath.Join("..", "..")

// program is the binary under test.
var program string

// depend says that a test depends on the program.
var depend = sync.OnceValue(func() error { return rig.NoteSources(root) })

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(rig.Main(m, root, &program))
}

// dice gives a test its random choices and prints their seed.
func dice(t *testing.T) (*rand.Rand, uint64) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0)), seed
}

// launch makes a cluster of n nodes that ends with the test, or skips the test where that can't be.
func launch(t *testing.T, n int, args ...string) *fleet.Fleet {
	t.Helper()
	if err := depend(); err != nil {
		t.Fatal(err)
	}
	f, err := fleet.New(fleet.Options{Nodes: n, Program: program, Args: args})
	if errors.Is(err, netns.ErrNone) && !rig.Required() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}
