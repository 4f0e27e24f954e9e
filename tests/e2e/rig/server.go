package rig

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a server may take to be ready or to end before a test gives up on it.
const patience = 2 * time.Minute

// Options say which server to start.
type Options struct {
	Binary  string
	Dir     string   // data directory
	Args    []string // more flags
	Env     []string // more environment, KEY=value
	BootID  string   // what the server takes for the machine's boot id; empty: the kernel's. Needs root.
	Timeout time.Duration
}

// Server is a running server, or one that has ended.
type Server struct {
	Listen, ClusterListen, Admin string // addresses, known once it is ready

	cmd   *exec.Cmd
	ready chan struct{}
	ended chan struct{} // closed when the process has gone and its log was read

	mu  sync.Mutex
	log strings.Builder
}

// ExitError says that a server ended instead of becoming ready.
type ExitError struct {
	Code int // -1: killed by a signal
	Log  string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("the server ended with exit code %d:\n%s", e.Code, e.Log)
}

// Message is the error that the program printed last, without the log lines.
func (e *ExitError) Message() string {
	for _, line := range slices.Backward(strings.Split(e.Log, "\n")) {
		if text, ok := strings.CutPrefix(line, "kahuna: "); ok {
			return text
		}
	}
	return ""
}

// Panicked tells whether the process died of a panic or a signal of its own making, rather than by an error.
func (e *ExitError) Panicked() bool {
	return strings.Contains("\n"+e.Log, "\npanic: ") || strings.Contains("\n"+e.Log, "\nfatal error: ")
}

// ErrNotReady says that a server runs, but never became ready.
var ErrNotReady = errors.New("the server is not ready")

// Start starts a server and waits until it is ready. The error is an *ExitError when it ended before, and wraps ErrNotReady
// when it took too long; it is killed then.
func Start(o Options) (*Server, error) {
	s, err := Spawn(o)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	limit := time.NewTimer(o.Timeout)
	defer limit.Stop()
	select {
	case <-s.ready:
	case <-s.ended:
		return nil, &ExitError{s.ExitCode(), s.Log()}
	case <-limit.C:
		s.Kill()
		return nil, fmt.Errorf("%w after %v:\n%s", ErrNotReady, o.Timeout, s.Log())
	}
	if err := s.checkReady(); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// Spawn starts a server and does not wait for it.
func Spawn(o Options) (*Server, error) {
	args := append([]string{"server", "--data-dir", o.Dir, "--log-format", "json", "--listen", "127.0.0.1:0",
		"--cluster-listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, o.Args...)
	cmd, err := command(o.Binary, args, o.BootID)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), o.Env...)
	s := &Server{cmd: cmd, ready: make(chan struct{}), ended: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go s.follow(stderr)
	return s, nil
}

// follow reads the log until the process has gone.
func (s *Server) follow(stderr io.Reader) {
	defer close(s.ended)
	in := bufio.NewReader(stderr)
	for {
		line, err := in.ReadString('\n')
		s.keep(line)
		if err != nil {
			break
		}
		s.notice(line)
	}
	s.cmd.Wait() // the exit code tells
}

// logBytesMax bounds what is kept of a log; a test needs its beginning and its end.
const logBytesMax = 1 << 20

func (s *Server) keep(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log.Len() > logBytesMax {
		tail := s.log.String()[logBytesMax/2:]
		s.log.Reset()
		s.log.WriteString(tail)
	}
	s.log.WriteString(line)
}

// notice learns the addresses from the line that says that the server is ready.
func (s *Server) notice(line string) {
	var l struct {
		Message string `json:"message"`
		Listen  string `json:"listen"`
		Cluster string `json:"cluster-listen"`
		Admin   string `json:"admin-listen"`
	}
	if json.Unmarshal([]byte(line), &l) != nil || l.Message != "ready" {
		return
	}
	s.Listen, s.ClusterListen, s.Admin = l.Listen, l.Cluster, l.Admin
	close(s.ready)
}

// checkReady holds what the log says against /readyz. A server that has said that it is ready may be without a leader again for a
// moment, on a machine that is busy with other things.
func (s *Server) checkReady() error {
	over, again := time.NewTimer(patience), time.NewTicker(10*time.Millisecond)
	defer over.Stop()
	defer again.Stop()
	for {
		status, body, err := s.Get("/readyz")
		if err != nil || status == http.StatusOK {
			return err
		}
		select {
		case <-again.C:
		case <-over.C:
			return fmt.Errorf("%w: the log says ready, /readyz says %d %s:\n%s", ErrNotReady, status, body, s.Log())
		}
	}
}

// Get asks the operators' listener for a path.
func (s *Server) Get(path string) (status int, body string, err error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + s.Admin + path)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	return r.StatusCode, string(b), err
}

// Ready is closed when the server has said that it is ready.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Ended is closed when the process has gone.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Running tells whether the process is there.
func (s *Server) Running() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// PID is the server's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log is what it has printed.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// ExitCode is the exit code of a server that has ended; -1 when a signal ended it.
func (s *Server) ExitCode() int { return s.cmd.ProcessState.ExitCode() }

// Kill ends the process as kill -9 does, and waits until it has gone.
func (s *Server) Kill() {
	s.cmd.Process.Kill() // an error: it has gone already
	<-s.ended
}

// Stop asks the server to end and gives its exit code. One that does not end is killed, which is an error.
func (s *Server) Stop() (code int, err error) {
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	return s.Wait()
}

// Wait waits for the end. A server that does not end is killed, which is an error.
func (s *Server) Wait() (code int, err error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-s.ended:
		return s.ExitCode(), nil
	case <-limit.C:
		s.Kill()
		return 0, fmt.Errorf("the server did not end within %v:\n%s", patience, s.Log())
	}
}

// Signal sends the process a signal.
func (s *Server) Signal(sig syscall.Signal) error { return s.cmd.Process.Signal(sig) }

// MemoryKiB is the resident memory of the process in KiB, and the most that it ever was.
func (s *Server) MemoryKiB() (now, peak int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return 0, 0, err
	}
	return field(string(b), "VmRSS:"), field(string(b), "VmHWM:"), nil
}

func field(status, name string) int {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return n
		}
	}
	return 0
}
