package cluster

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Identity is who a node is. It is made once, with its data directory. Its methods are for any goroutine.
type Identity struct {
	path string
	node string
	mu   sync.Mutex
	file identityFile
}

// identityFile is the form that it is stored in.
type identityFile struct {
	Format  int    `json:"format"`
	Node    string `json:"node"`              // 40 hexadecimal digits
	Cluster string `json:"cluster,omitempty"` // that it belongs to, once it does
	Joining bool   `json:"joining,omitempty"` // it has asked to join one, and may be a member without having heard of it
	Sum     uint32 `json:"sum"`               // CRC-32C of the rest: another id is another node, which leads none of the groups here
}

func (id *identityFile) sum() uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d %s %s %t", id.Format, id.Node, id.Cluster, id.Joining), crc32.MakeTable(crc32.Castagnoli))
}

// Node is the node's id.
func (id *Identity) Node() string { return id.node }

// Cluster is the id of the cluster that the node belongs to; empty as long as it belongs to none.
func (id *Identity) Cluster() string {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.file.Cluster
}

// Belong notes the cluster that the node belongs to. It never belongs to another one.
func (id *Identity) Belong(cluster string) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	switch id.file.Cluster {
	case cluster:
		return nil
	case "":
		return id.change(func(f *identityFile) { f.Cluster, f.Joining = cluster, false })
	}
	return fmt.Errorf("%s says that this node belongs to cluster %s, and it was told that it belongs to %s: give it an empty data directory to join that one",
		id.path, id.file.Cluster, cluster)
}

// Join notes that the node asks to join a cluster. From then on it never makes one: it may be a member of that one already.
func (id *Identity) Join() error {
	id.mu.Lock()
	defer id.mu.Unlock()
	if id.file.Joining || id.file.Cluster != "" {
		return nil
	}
	return id.change(func(f *identityFile) { f.Joining = true })
}

// mayFound tells whether the node may make a cluster.
func (id *Identity) mayFound() bool {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.file.Cluster == "" && !id.file.Joining
}

// change writes a changed identity. id.mu is held.
func (id *Identity) change(fn func(f *identityFile)) error {
	next := id.file
	fn(&next)
	if err := next.write(id.path); err != nil {
		return err
	}
	id.file = next
	return nil
}

const identityFormat = 1

// OpenIdentity reads a data directory's identity, or makes one in a new directory.
func OpenIdentity(dir string, random func() string) (*Identity, error) {
	path := filepath.Join(dir, "node.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "store")); err == nil {
			return nil, fmt.Errorf("%s is missing, and there is data beside it: a node that forgot who it is can't use that", path)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		file := identityFile{Format: identityFormat, Node: random()}
		return &Identity{path: path, node: file.Node, file: file}, file.write(path)
	}
	if err != nil {
		return nil, err
	}
	var file identityFile
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return &Identity{path: path, node: file.Node, file: file}, file.check(path)
}

func (id *identityFile) check(path string) error {
	if id.Format > identityFormat {
		return fmt.Errorf("%s has format %d, and this program knows formats up to %d: use a newer program", path, id.Format, identityFormat)
	}
	if digits, err := hex.DecodeString(id.Node); id.Format < 1 || err != nil || len(digits) != 20 {
		return fmt.Errorf("%s is damaged: format %d, node id %q instead of 40 hexadecimal digits", path, id.Format, id.Node)
	}
	if id.Sum != id.sum() {
		return fmt.Errorf("%s is damaged: its checksum is %d and should be %d", path, id.Sum, id.sum())
	}
	return nil
}

// write writes an identity so that it is there as a whole or not at all.
func (id *identityFile) write(path string) error {
	id.Sum = id.sum()
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
