package commands

import (
	"context"
	"strings"
	"sync"

	"kahuna/cluster"
)

// fakeDocuments are documents in memory. Each change is told to the handlers before it is over, as on a node that is up to date.
type fakeDocuments struct {
	mu       sync.Mutex
	docs     []cluster.Document // in the order of their keys
	version  uint64
	handlers []*Handler
	conflict func() // is called once before the next Put, which then finds what it did
}

func (f *fakeDocuments) Get(_ context.Context, key string) (cluster.Document, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.docs {
		if d.Key == key {
			return d, true, nil
		}
	}
	return cluster.Document{}, false, nil
}

func (f *fakeDocuments) Put(ctx context.Context, key string, value []byte, ifVersion uint64) (uint64, error) {
	if between := f.conflict; between != nil {
		f.conflict = nil
		between()
	}
	version, err := f.change(key, ifVersion, func(rest []cluster.Document, version uint64) []cluster.Document {
		return append(rest, cluster.Document{Key: key, Value: value, Version: version})
	})
	return version, err
}

func (f *fakeDocuments) Delete(_ context.Context, key string, ifVersion uint64) error {
	_, err := f.change(key, ifVersion, func(rest []cluster.Document, _ uint64) []cluster.Document { return rest })
	return err
}

func (f *fakeDocuments) change(key string, ifVersion uint64, fn func([]cluster.Document, uint64) []cluster.Document) (uint64, error) {
	f.mu.Lock()
	present, rest := uint64(0), []cluster.Document{}
	for _, d := range f.docs {
		if d.Key == key {
			present = d.Version
		} else {
			rest = append(rest, d)
		}
	}
	if present != ifVersion {
		f.mu.Unlock()
		return 0, cluster.ErrVersion
	}
	f.version++
	version := f.version
	f.docs = fn(rest, version)
	handlers := f.handlers
	f.mu.Unlock()
	for _, h := range handlers {
		if err := h.LoadUsers(); err != nil {
			return 0, err
		}
	}
	return version, nil
}

func (f *fakeDocuments) Local(prefix string) (all []cluster.Document, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.docs {
		if strings.HasPrefix(d.Key, prefix) {
			all = append(all, d)
		}
	}
	return all, nil
}

func (f *fakeDocuments) Changed() <-chan struct{} { return nil }

// withUsers makes options whose handlers share users. The handlers are added to it once they are made.
func (f *fakeDocuments) add(h *Handler) { f.handlers = append(f.handlers, h) }
