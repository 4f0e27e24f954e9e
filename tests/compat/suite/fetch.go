package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The sources of Redis 7.0.15, the last version with a BSD license, as Debian keeps them.
const (
	sourceURL    = "https://deb.debian.org/debian/pool/main/r/redis/redis_7.0.15.orig.tar.gz"
	sourceSHA256 = "4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982"
	sourceDir    = "redis-7.0.15" // what the archive unpacks to
	sourceBytes  = 16 << 20       // more than that is not what is wanted
)

// fetchTimeout bounds the download of 3 MB.
const fetchTimeout = 2 * time.Minute

// source gives the path of the archive, which is fetched unless it is there already.
func source() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "kahuna", filepath.Base(sourceURL))
	if b, err := os.ReadFile(path); err == nil && digest(b) == sourceSHA256 {
		return path, nil
	}
	b, err := download(sourceURL)
	if err != nil {
		return "", fmt.Errorf("the sources of the test-suite can't be had: %w", err)
	}
	if got := digest(b); got != sourceSHA256 {
		return "", fmt.Errorf("%s has the SHA-256 %s, not %s", sourceURL, got, sourceSHA256)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, replaceFile(path, b)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func download(url string) ([]byte, error) {
	client := http.Client{Timeout: fetchTimeout}
	r, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, r.Status)
	}
	return io.ReadAll(io.LimitReader(r.Body, sourceBytes))
}

// replaceFile writes a file that is there as a whole or not at all, also when two of this program run.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "fetch")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // an error: it was renamed
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// unpack puts the suite into dir, changed as patches say, and gives the directory to run it in.
func unpack(archive, dir string) (string, error) {
	root := filepath.Join(dir, sourceDir)
	if out, err := exec.Command("tar", "-xzf", archive, "-C", dir, sourceDir+"/tests", sourceDir+"/runtest").CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w\n%s", err, out)
	}
	for _, p := range patches {
		if err := p.apply(root); err != nil {
			return "", err
		}
	}
	return root, nil
}
