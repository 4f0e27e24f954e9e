package cluster

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Keys of documents: the list of scripts, and each script under its name.
const (
	scriptList   = "scripts"
	scriptPrefix = "script/"
)

// Bounds of what is kept for all nodes. The oldest scripts go when there are more.
const (
	scriptsMax      = 4096
	scriptsBytesMax = 32 << 20
	scriptRow       = 20 + 4 // a name and a length in the list
)

// Scripts keeps the texts of scripts in the meta group, so that each node knows those of all. A text is written before its name
// is listed, and carries the generation of the list that it is for: after a flush, what is left of older ones is not found.
type Scripts struct {
	docs *Documents

	mu         sync.Mutex
	changed    <-chan struct{} // of the documents, from before generation was read
	generation uint64
}

// Scripts gives the cluster's scripts.
func (n *Node) Scripts() *Scripts { return &Scripts{docs: n.documents} }

// scriptIndex is the list: when it was last flushed, and the scripts since, oldest first.
type scriptIndex struct {
	generation uint64
	rows       []byte // scriptRow bytes each
}

func decodeScripts(b []byte) scriptIndex {
	if len(b) < 8 {
		return scriptIndex{}
	}
	return scriptIndex{binary.BigEndian.Uint64(b), slices.Clone(b[8:])}
}

func (x *scriptIndex) encode() []byte {
	return append(binary.BigEndian.AppendUint64(nil, x.generation), x.rows...)
}

// has tells whether a name is listed.
func (x *scriptIndex) has(name []byte) bool {
	for row := range slices.Chunk(x.rows, scriptRow) {
		if string(row[:20]) == string(name) {
			return true
		}
	}
	return false
}

// add lists a script, and returns the names of those that have to go for it.
func (x *scriptIndex) add(name []byte, size int) (gone []string) {
	x.rows = binary.BigEndian.AppendUint32(append(x.rows, name...), uint32(size))
	total := 0
	for row := range slices.Chunk(x.rows, scriptRow) {
		total += int(binary.BigEndian.Uint32(row[20:]))
	}
	for len(x.rows) > scriptsMax*scriptRow || total > scriptsBytesMax && len(x.rows) > scriptRow {
		gone = append(gone, hex.EncodeToString(x.rows[:20]))
		total -= int(binary.BigEndian.Uint32(x.rows[20:]))
		x.rows = x.rows[scriptRow:]
	}
	return gone
}

var errFlushed = errors.New("cluster: the scripts were flushed meanwhile")

// Save keeps a script under its name, 40 hexadecimal digits.
func (s *Scripts) Save(ctx context.Context, sha, body string) error {
	name, err := hex.DecodeString(sha)
	if err != nil || len(name) != 20 {
		return fmt.Errorf("cluster: %q is no name of a script", sha)
	}
	for {
		if err := s.save(ctx, name, body); !errors.Is(err, errFlushed) {
			return err
		}
	}
}

func (s *Scripts) save(ctx context.Context, name []byte, body string) error {
	doc, _, err := s.docs.Get(ctx, scriptList)
	if err != nil {
		return err
	}
	index := decodeScripts(doc.Value)
	if index.has(name) {
		return nil
	}
	value := append(binary.BigEndian.AppendUint64(nil, index.generation), body...)
	err = s.docs.Change(ctx, scriptPrefix+hex.EncodeToString(name), func([]byte) ([]byte, error) { return value, nil })
	if err != nil {
		return err
	}
	var gone []string
	err = s.docs.Change(ctx, scriptList, func(b []byte) ([]byte, error) {
		now := decodeScripts(b)
		if now.generation != index.generation {
			return nil, errFlushed
		}
		if gone = nil; !now.has(name) {
			gone = now.add(name, len(body))
		}
		return now.encode(), nil
	})
	for _, sha := range gone {
		s.remove(ctx, sha)
	}
	return err
}

// remove deletes a script's text. Should it fail, the text stays until it is saved anew or flushed.
func (s *Scripts) remove(ctx context.Context, sha string) {
	if doc, found, err := s.docs.Get(ctx, scriptPrefix+sha); err == nil && found {
		_ = s.docs.Delete(ctx, doc.Key, doc.Version)
	}
}

// Load gives a script that any node has saved.
func (s *Scripts) Load(ctx context.Context, sha string) (body string, found bool, err error) {
	if len(sha) != 40 || strings.Trim(sha, "0123456789abcdef") != "" {
		return "", false, nil
	}
	doc, found, err := s.docs.Get(ctx, scriptPrefix+sha)
	if err != nil || !found || len(doc.Value) < 8 {
		return "", false, err
	}
	list, _, err := s.docs.Get(ctx, scriptList)
	if err != nil || decodeScripts(list.Value).generation != binary.BigEndian.Uint64(doc.Value) {
		return "", false, err
	}
	return string(doc.Value[8:]), true, nil
}

// Flush forgets all scripts, then deletes their texts.
func (s *Scripts) Flush(ctx context.Context) error {
	err := s.docs.Change(ctx, scriptList, func(b []byte) ([]byte, error) {
		index := scriptIndex{generation: decodeScripts(b).generation + 1}
		return index.encode(), nil
	})
	if err != nil {
		return err
	}
	all, err := s.docs.List(ctx, scriptPrefix)
	if err != nil {
		return nil // they are not found any more, and the next flush deletes them
	}
	for _, doc := range all {
		_ = s.docs.Delete(ctx, doc.Key, doc.Version)
	}
	return nil
}

// Generation rises with each Flush that this node has heard of. It costs a look at a channel as long as no document changes.
func (s *Scripts) Generation() uint64 {
	s.mu.Lock()
	seen, generation := s.changed, s.generation
	s.mu.Unlock()
	if seen != nil {
		select {
		case <-seen:
		default:
			return generation
		}
	}
	changed := s.docs.Changed()
	doc, _, err := s.docs.LocalGet(scriptList)
	if err != nil {
		return generation
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.changed = max(s.generation, decodeScripts(doc.Value).generation), changed
	return s.generation
}
