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
)

// identity is who a node is. It is made once, with its data directory.
type identity struct {
	Format int    `json:"format"`
	Node   string `json:"node"` // 40 hexadecimal digits
	Sum    uint32 `json:"sum"`  // CRC-32C of format and node: another id is another node, which leads none of the groups here
}

func (id *identity) sum() uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d %s", id.Format, id.Node), crc32.MakeTable(crc32.Castagnoli))
}

const identityFormat = 1

// loadIdentity reads a data directory's identity, or makes one in a new directory.
func loadIdentity(dir string, random func() string) (id identity, err error) {
	path := filepath.Join(dir, "node.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "store")); err == nil {
			return id, fmt.Errorf("%s is missing, and there is data beside it: a node that forgot who it is can't use that", path)
		}
		return makeIdentity(dir, path, identity{Format: identityFormat, Node: random()})
	}
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if id.Format > identityFormat {
		return id, fmt.Errorf("%s has format %d, and this program knows formats up to %d: use a newer program", path, id.Format, identityFormat)
	}
	if digits, err := hex.DecodeString(id.Node); id.Format < 1 || err != nil || len(digits) != 20 {
		return id, fmt.Errorf("%s is damaged: format %d, node id %q instead of 40 hexadecimal digits", path, id.Format, id.Node)
	}
	if id.Sum != id.sum() {
		return id, fmt.Errorf("%s is damaged: its checksum is %d and should be %d", path, id.Sum, id.sum())
	}
	return id, nil
}

// makeIdentity writes an identity so that it is there as a whole or not at all.
func makeIdentity(dir, path string, id identity) (identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return id, err
	}
	id.Sum = id.sum()
	b, err := json.Marshal(id)
	if err != nil {
		return id, err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return id, err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return id, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return id, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return id, err
	}
	return id, errors.Join(d.Sync(), d.Close())
}
