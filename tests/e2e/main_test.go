package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kahuna/tests/e2e/load"
	"kahuna/tests/e2e/rig"
	"kahuna/tests/e2e/wire"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "of all random choices; 0: a new one")
	killsFlag = flag.Int("kills", 0, "how often TestKill kills; 0: 36, or 10 with -short")
	cutsFlag  = flag.Int("cuts", 0, "how often TestPowerCut cuts the power; 0: 6, or 3 with -short")
	flipsFlag = flag.Int("flips", 0, "how many damaged copies TestBitFlip makes; 0: 44, or 12 with -short")
)

// patience is how long a client waits for an answer, so that a busy machine fails no test.
const patience = time.Minute

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

// number is what a flag says, else a default for long or for short runs.
func number(flag, long, short int) int {
	switch {
	case flag > 0:
		return flag
	case testing.Short():
		return short
	}
	return long
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

// lack skips a test for want of something, or fails it when the rig is required.
func lack(t *testing.T, format string, args ...any) {
	t.Helper()
	if rig.Required() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// small are settings under which files of the log fill up soon and the log moves on often.
var small = []string{"--log-segment-bytes", "8388608", "--checkpoint-interval-ms", "1000"}

// start starts a server that is killed with the test.
func start(t *testing.T, o rig.Options) *rig.Server {
	t.Helper()
	if err := depend(); err != nil {
		t.Fatal(err)
	}
	o.Binary = program
	s, err := rig.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// startAt starts a server at an address that another had. Meanwhile another process may have got the port for something short.
func startAt(t *testing.T, addr string, o rig.Options) *rig.Server {
	t.Helper()
	o.Binary, o.Args = program, append(slices.Clone(o.Args), "--listen", addr)
	for limit := time.Now().Add(time.Minute); ; {
		s, err := rig.Start(o)
		var exit *rig.ExitError
		if errors.As(err, &exit) && strings.Contains(exit.Message(), "in use") && time.Now().Before(limit) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		return s
	}
}

// refused starts a server that must not start, and gives how it ended.
func refused(t *testing.T, o rig.Options) *rig.ExitError {
	t.Helper()
	if err := depend(); err != nil {
		t.Fatal(err)
	}
	o.Binary = program
	s, err := rig.Start(o)
	if err == nil {
		s.Kill()
		t.Fatalf("the server started; its log:\n%s", s.Log())
	}
	var exit *rig.ExitError
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit
}

// stop ends a server in order.
func stop(t *testing.T, s *rig.Server) {
	t.Helper()
	code, err := s.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if code != 0 {
		t.Fatalf("after SIGTERM the exit code is %d:\n%s", code, s.Log())
	}
}

// connect connects to a server until the test ends.
func connect(t *testing.T, addr string) *wire.Conn {
	t.Helper()
	c, err := wire.Dial(addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// do gives the reply to one command.
func do(t *testing.T, c *wire.Conn, args ...string) *wire.Reply {
	t.Helper()
	r, err := c.Do(args...)
	if err != nil {
		t.Fatalf("%.100q: %v", args, err)
	}
	return r
}

// expect runs one command and compares its reply.
func expect(t *testing.T, c *wire.Conn, want string, args ...string) {
	t.Helper()
	if got := do(t, c, args...).String(); got != want {
		t.Errorf("%.100q answers %s, want %s", args, got, want)
	}
}

// working is a world at work on one server.
type working struct {
	world *load.World
	done  chan struct{}
}

// work puts a server under load until it ends.
func work(w *load.World, addr string) *working {
	k := &working{w, make(chan struct{})}
	go func() {
		defer close(k.done)
		w.Run(addr)
	}()
	return k
}

// until waits until n more operations are acknowledged, or fails when the load ends first.
func (k *working) until(t *testing.T, n int64) {
	t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	for from := k.world.Counts().Acked; k.world.Counts().Acked < from+n; {
		select {
		case <-k.world.Acked():
		case <-k.done:
			t.Fatalf("the load ended:\n%s", report(k.world))
		case <-limit.C:
			t.Fatalf("only %d of %d operations are acknowledged, refused: %s", k.world.Counts().Acked-from, n, k.world.Refusals())
		}
	}
}

// rest ends the load while the server goes on.
func (k *working) rest() {
	k.world.End()
	<-k.done
}

// hold fails the test when promises were broken.
func hold(t *testing.T, w *load.World, when string) {
	t.Helper()
	if len(w.Violations()) > 0 {
		t.Fatalf("%s: %s", when, report(w))
	}
}

func report(w *load.World) string {
	all := w.Violations()
	text := fmt.Sprintf("%d violations\n", len(all))
	return text + strings.Join(all[:min(len(all), 15)], "\n")
}

// check holds a server's data against the world.
func check(t *testing.T, w *load.World, s *rig.Server, depth load.Depth, when string) {
	t.Helper()
	if err := w.Check(s.Listen, depth); err != nil {
		t.Fatalf("%s: %v\n%s", when, err, s.Log())
	}
	hold(t, w, when)
}
