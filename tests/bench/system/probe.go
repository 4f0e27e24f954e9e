package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"kahuna/tests/bench/resp"
)

// probeTimeout bounds one attempt to find out whether a server is ready.
const probeTimeout = 2 * time.Second

// probeRESP succeeds when a write is acknowledged.
func probeRESP(_ context.Context, addr string) error {
	c, err := resp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return err
	}
	var r resp.Reply
	if err := c.Call(&r, "SET", "ready", "1"); err != nil {
		return err
	}
	if !r.IsOK() {
		return fmt.Errorf("SET answered %s", &r)
	}
	return nil
}

// probeEtcd succeeds when a linearizable read does, which is what /health tries.
func probeEtcd(ctx context.Context, addr string) error {
	body, err := httpGet(ctx, "http://"+addr+"/health")
	if err != nil {
		return err
	}
	if !strings.Contains(body, `"health":"true"`) {
		return errors.New("not healthy: " + body)
	}
	return nil
}

// httpGet returns the body, at most 4 MiB of it, of a reply with status 200.
func httpGet(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: status %d: %.200s", url, res.StatusCode, body)
	}
	return string(body), nil
}

// freeAddrs returns n different loopback addresses nothing listens on. Another process could take one before it is used;
// then the server fails to start and says so.
func freeAddrs(n int) ([]string, error) {
	addrs := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
