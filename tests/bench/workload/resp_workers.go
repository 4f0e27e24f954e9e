package workload

import (
	"bytes"
	"math/rand/v2"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/resp"
)

// Words of commands, made once.
var (
	wordSet   = []byte("SET")
	wordGet   = []byte("GET")
	wordMulti = []byte("MULTI")
	wordExec  = []byte("EXEC")
)

type setWorker struct {
	client
	rng      *rand.Rand
	keys     [][]byte
	value    []byte
	pipeline int
}

func (w *setWorker) Do(t *load.Tally) error {
	for range w.pipeline {
		key := w.keys[w.rng.IntN(len(w.keys))]
		copy(w.value, key)
		w.Append(wordSet, key, w.value)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for range w.pipeline {
		if err := w.Read(&w.reply); err != nil {
			return err
		}
		if w.reply.IsOK() {
			t.Right()
		} else {
			t.Wrong("SET answered %s", &w.reply)
		}
	}
	return nil
}

// getWorker expects values of the right size that begin with the key they were read from.
type getWorker struct {
	client
	rng   *rand.Rand
	keys  [][]byte
	asked [][]byte
}

func (w *getWorker) Do(t *load.Tally) error {
	for i := range w.asked {
		w.asked[i] = w.keys[w.rng.IntN(len(w.keys))]
		w.Append(wordGet, w.asked[i])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, key := range w.asked {
		if err := w.Read(&w.reply); err != nil {
			return err
		}
		if w.reply.Kind == resp.Bulk && rightValue(w.reply.Bytes, key) {
			t.Right()
		} else {
			t.Wrong("GET %s answered %s", key, &w.reply)
		}
	}
	return nil
}

func rightValue(value, key []byte) bool {
	return len(value) == ValueBytes && bytes.HasPrefix(value, key)
}

// txnWorker sends MULTI, two SETs and EXEC in one write.
type txnWorker struct {
	client
	pairs [][2][]byte
	next  int
	value []byte
}

func (w *txnWorker) Do(t *load.Tally) error {
	pair := w.pairs[w.next%len(w.pairs)]
	w.next++
	w.Append(wordMulti)
	for _, key := range pair {
		w.Append(wordSet, key, w.value)
	}
	w.Append(wordExec)
	if err := w.Flush(); err != nil {
		return err
	}
	wrong, err := w.readTxn()
	if err != nil {
		return err
	}
	if wrong == "" {
		t.Right()
	} else {
		t.Wrong("a transaction answered %s", wrong)
	}
	return nil
}

// readTxn reads all replies of a transaction; wrong describes the first that is not as it should be.
func (w *txnWorker) readTxn() (wrong string, err error) {
	expect := func(ok func() bool) error {
		if err := w.Read(&w.reply); err != nil {
			return err
		}
		if wrong == "" && !ok() {
			wrong = w.reply.String()
		}
		return nil
	}
	isOK := func() bool { return w.reply.IsOK() }
	isQueued := func() bool { return w.reply.Is("QUEUED") }
	isPair := func() bool { return w.reply.Kind == resp.Array && w.reply.Int == 2 }
	for _, ok := range []func() bool{isOK, isQueued, isQueued, isPair} {
		if err := expect(ok); err != nil {
			return "", err
		}
	}
	if w.reply.Kind != resp.Array {
		return wrong, nil
	}
	for range w.reply.Int {
		if err := expect(isOK); err != nil {
			return "", err
		}
	}
	return wrong, nil
}
