package clients

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// addr is where the server of all tests listens.
var addr string

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "compat")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "kahuna")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	cmd := exec.Command(binary, "server", "--data-dir", filepath.Join(dir, "data"), "--log-format", "json", "--listen", "127.0.0.1:0",
		"--cluster-listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := ready(bufio.NewScanner(log)); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// ready reads the server's log up to the line that tells its addresses, and waits until it serves.
func ready(log *bufio.Scanner) error {
	for log.Scan() {
		var line struct {
			Listen string `json:"listen"`
			Admin  string `json:"admin-listen"`
		}
		if json.Unmarshal(log.Bytes(), &line) == nil && line.Listen != "" {
			addr = line.Listen
			go func() {
				for log.Scan() {
				}
			}()
			return serves(line.Admin)
		}
	}
	return errors.New("the server ended before it was ready")
}

func serves(admin string) error {
	for until := time.Now().Add(time.Minute); time.Now().Before(until); <-time.After(10 * time.Millisecond) {
		r, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return err
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("the server is not ready after a minute")
}

// connect gives a client of go-redis that is closed with the test.
func connect(t *testing.T) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: time.Minute})
	t.Cleanup(func() { c.Close() })
	return c
}
