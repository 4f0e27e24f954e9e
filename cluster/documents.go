package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// Document is something that the whole cluster agrees on: a small value under a key in the meta group, with a version that no
// other one ever had.
type Document struct {
	Key     string
	Value   []byte
	Version uint64
}

// ErrVersion says that a document has another version than the one that was to be changed. Nothing was changed.
var ErrVersion = errors.New("cluster: the document has been changed meanwhile")

// DocumentBytesMax bounds a document's value.
const DocumentBytesMax = 1 << 20

// documentPage is how many documents are asked for at once.
const documentPage = 1000

// Documents are the documents of the meta group. Get, List and the changes go through its leader and are linearizable; Local is
// what this node's own replica has so far.
type Documents struct {
	router *Router
	view   func() (*storage.Snapshot, error) // of this node's replica

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
}

// Documents gives the cluster's documents.
func (n *Node) Documents() *Documents { return n.documents }

func newDocuments(n *Node) *Documents {
	return &Documents{router: n.router, view: n.viewMeta, changed: make(chan struct{})}
}

// errFilling: this node's replica of the meta group is being replaced by what its leader has sent. Documents.tell comes after that.
var errFilling = errors.New("cluster: this node's copy of what the cluster agrees on is being replaced")

// viewMeta takes a snapshot of this node's replica of the meta group, which the caller closes. It is never of half a state.
func (n *Node) viewMeta() (*storage.Snapshot, error) {
	r := n.Replica(fsm.Meta)
	if r == nil {
		return n.store.Snapshot(), nil // it is not open, and nobody changes it
	}
	before, _ := r.Machine().Whole()
	snap := n.store.Snapshot()
	if after, whole := r.Machine().Whole(); !whole || after != before {
		snap.Close()
		return nil, errFilling
	}
	return snap, nil
}

func (d *Documents) do(ctx context.Context, o op.Op) (op.Result, error) {
	out := d.router.Do(ctx, []op.Op{o})[0]
	return out.Result, out.Err
}

// Get reads a document.
func (d *Documents) Get(ctx context.Context, key string) (doc Document, found bool, err error) {
	res, err := d.do(ctx, &op.MetaGet{Key: []byte(key)})
	return Document{key, res.Value, res.Rev}, res.Found, err
}

// Put writes a document whose version is still ifVersion, 0 for one that does not exist, and returns the new version. ErrVersion
// tells that it is not; other errors are those of an operation.
func (d *Documents) Put(ctx context.Context, key string, value []byte, ifVersion uint64) (version uint64, err error) {
	if len(value) > DocumentBytesMax {
		return 0, fmt.Errorf("%w: the document %q has %d bytes (limit %d bytes)", ErrTooLarge, key, len(value), DocumentBytesMax)
	}
	return d.put(ctx, &op.MetaPut{Key: []byte(key), Value: value, IfVersion: ifVersion})
}

// Delete deletes a document whose version is still ifVersion, as Put does.
func (d *Documents) Delete(ctx context.Context, key string, ifVersion uint64) error {
	_, err := d.put(ctx, &op.MetaPut{Key: []byte(key), Delete: true, IfVersion: ifVersion})
	return err
}

func (d *Documents) put(ctx context.Context, o *op.MetaPut) (uint64, error) {
	res, err := d.do(ctx, o)
	if err == nil && !res.Done {
		err = ErrVersion
	}
	return res.Rev, err
}

// Change reads a document and writes what fn makes of it (nil when there is none), again and again until nobody changed it
// meanwhile. An error of fn ends it, and nothing was changed.
func (d *Documents) Change(ctx context.Context, key string, fn func(value []byte) ([]byte, error)) error {
	for {
		doc, found, err := d.Get(ctx, key)
		if err != nil {
			return err
		}
		if !found {
			doc.Value = nil
		}
		value, err := fn(doc.Value)
		if err != nil {
			return err
		}
		if _, err = d.Put(ctx, key, value, doc.Version); !errors.Is(err, ErrVersion) {
			return err
		}
	}
}

// List gives the documents whose keys begin with prefix, in order. Those that are changed meanwhile may be from before or after.
func (d *Documents) List(ctx context.Context, prefix string) ([]Document, error) {
	return list(prefix, func(o op.Op) (op.Result, error) { return d.do(ctx, o) })
}

// Local gives what this node's replica has of them. It does not wait, and may be behind.
// They are of one state.
func (d *Documents) Local(prefix string) ([]Document, error) {
	snap, err := d.view()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	return list(prefix, func(o op.Op) (op.Result, error) { return fsm.Read(snap, mvcc.Latest, o) })
}

func list(prefix string, read func(op.Op) (op.Result, error)) (all []Document, err error) {
	o := &op.MetaList{Prefix: []byte(prefix), Limit: documentPage}
	for {
		res, err := read(o)
		if err != nil {
			return nil, err
		}
		for _, it := range res.Items {
			all = append(all, Document{string(it.Key), it.Value, it.Rev})
			o.After = it.Key
		}
		if res.Done {
			return all, nil
		}
	}
}

// LocalGet gives one document as this node's replica has it.
func (d *Documents) LocalGet(key string) (doc Document, found bool, err error) {
	snap, err := d.view()
	if err != nil {
		return doc, false, err
	}
	defer snap.Close()
	res, err := fsm.Read(snap, mvcc.Latest, &op.MetaGet{Key: []byte(key)})
	return Document{key, res.Value, res.Rev}, res.Found, err
}

// Changed gives a channel that is closed when documents may have changed in this node's replica after the call. Ask for it before
// Local, and again after it was closed.
func (d *Documents) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// tell is called by the state machine.
func (d *Documents) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.changed)
	d.changed = make(chan struct{})
}
