package lockrun

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/client"
)

// fake is a server of locks in memory, as the contract has them: queues, leases, and waiters that leave with their connection.
type fake struct {
	mu     sync.Mutex
	locks  map[string]*fakeLock
	token  int64
	calls  []string              // what was asked, at which second
	before func(c string) string // an answer instead of the fake's own; "drop" ends the connection, after the call when "late"
	began  time.Time
	joined sync.WaitGroup
}

type fakeLock struct {
	owner string
	token int64
	ends  time.Time
	queue []string
}

// bubble runs a test with a fake server, in virtual time.
func bubble(t *testing.T, test func(t *testing.T, f *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{locks: map[string]*fakeLock{}, began: time.Now()}
		test(t, f)
		f.joined.Wait()
	})
}

func (f *fake) options() client.Options {
	return client.Options{Addrs: []string{"fake"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		f.joined.Go(func() { f.serve(theirs) })
		return ours, nil
	}}
}

// holder makes one that asks this server.
func (f *fake) holder(t *testing.T, owner string, wait time.Duration, names ...string) *holder {
	h := newHolder(Lock{Names: names, Owner: owner, TTL: 15 * time.Second, Wait: wait}, f.options())
	t.Cleanup(h.close)
	return h
}

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	commands := make(chan []string)
	gone := make(chan struct{})
	var reading sync.WaitGroup
	defer reading.Wait()
	defer c.Close()
	reading.Go(func() {
		defer close(gone)
		for in := bufio.NewReader(c); ; {
			args, err := request(in)
			if err != nil {
				return
			}
			commands <- args
		}
	})
	defer func() { // what was read and not taken
		for {
			select {
			case <-commands:
			case <-gone:
				return
			}
		}
	}()
	defer c.Close()
	var queued [][]string
	multi := false
	for {
		var args []string
		select {
		case args = <-commands:
		case <-gone:
			return
		}
		answer := f.instead(args)
		late := answer == "late drop"
		if late {
			answer = ""
		}
		switch {
		case answer == "drop":
			return
		case answer != "":
		case args[0] == "MULTI":
			multi, queued, answer = true, nil, "+OK\r\n"
		case args[0] == "EXEC":
			answer = fmt.Sprintf("*%d\r\n", len(queued))
			for _, q := range queued {
				answer += f.do(q, gone)
			}
			multi = false
		case multi:
			queued, answer = append(queued, args), "+QUEUED\r\n"
		default:
			answer = f.do(args, gone)
		}
		if late {
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

func request(in *bufio.Reader) ([]string, error) {
	var n int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		var size int
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

func (f *fake) instead(args []string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := strings.Join(args, " ")
	f.calls = append(f.calls, fmt.Sprintf("%d %s", int(time.Since(f.began).Seconds()), call))
	if f.before == nil {
		return ""
	}
	return f.before(call)
}

// called is what was asked that begins so, without the time.
func (f *fake) called(begin string) (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if _, call, _ := strings.Cut(c, " "); strings.HasPrefix(call, begin) {
			all = append(all, call)
		}
	}
	return all
}

func (f *fake) do(args []string, gone <-chan struct{}) string {
	switch args[0] {
	case "PING":
		return "+PONG\r\n"
	case "LOCK":
		return f.lock(args, gone)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.at(args[1])
	held := l.owner == args[2]
	switch {
	case args[0] == "UNLOCK" && held:
		l.owner = ""
		return ":1\r\n"
	case args[0] == "UNLOCK":
		return ":0\r\n"
	case args[0] == "LOCKEXTEND" && held:
		l.ends = time.Now().Add(ttl(args[3]))
		return fmt.Sprintf(":%d\r\n", l.token)
	}
	return "$-1\r\n"
}

// at is a lock as it is now.
func (f *fake) at(name string) *fakeLock {
	l := f.locks[name]
	if l == nil {
		l = &fakeLock{}
		f.locks[name] = l
	}
	if l.owner != "" && !time.Now().Before(l.ends) {
		l.owner = ""
	}
	return l
}

// lock takes a lock, waiting in its queue.
func (f *fake) lock(args []string, gone <-chan struct{}) string {
	name, owner := args[1], args[2]
	until := time.Now()
	if i := slices.Index(args, "WAIT"); i > 0 {
		until = until.Add(ttl(args[i+1]))
	}
	f.mu.Lock()
	if l := f.at(name); !slices.Contains(l.queue, owner) {
		l.queue = append(l.queue, owner)
	}
	f.mu.Unlock()
	for {
		token := f.turn(name, owner, ttl(args[3]))
		if token > 0 {
			return fmt.Sprintf(":%d\r\n", token)
		}
		select {
		case <-gone:
		case <-time.After(50 * time.Millisecond):
			if time.Now().Before(until) {
				continue
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		l := f.at(name)
		l.queue = slices.DeleteFunc(l.queue, func(o string) bool { return o == owner })
		return "$-1\r\n"
	}
}

// turn gives a token when it is the owner's turn, else 0.
func (f *fake) turn(name, owner string, ttl time.Duration) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.at(name)
	if l.owner != owner && (l.owner != "" || l.queue[0] != owner) {
		return 0
	}
	if l.owner == "" {
		f.token++
		l.owner, l.token = owner, f.token
	}
	l.ends = time.Now().Add(ttl)
	l.queue = slices.DeleteFunc(l.queue, func(o string) bool { return o == owner })
	return l.token
}

func ttl(millis string) time.Duration {
	n, err := strconv.Atoi(millis)
	if err != nil {
		panic(err)
	}
	return time.Duration(n) * time.Millisecond
}

// owner is who holds a lock now, and queue who waits for it.
func (f *fake) owner(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at(name).owner
}

func (f *fake) queue(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.at(name).queue)
}

// take gives a lock to somebody for so long, without asking.
func (f *fake) take(name, owner string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token++
	l := f.at(name)
	l.owner, l.token, l.ends = owner, f.token, time.Now().Add(d)
}

var errEnough = errors.New("enough")
