package commands

import (
	"kahuna/op"
	"kahuna/resp"
)

// Replies that many commands share.

func replyOK(w *resp.Writer, _ answer) { w.SimpleString("OK") }

func replyInt(w *resp.Writer, a answer) { w.Int(a.first().Int) }

func replyDone(w *resp.Writer, a answer) { writeFlag(w, a.first().Done) }

func replyOKOrNil(w *resp.Writer, a answer) {
	if a.first().Done {
		w.SimpleString("OK")
		return
	}
	w.Null()
}

// replyIntOrNil is for what was done, or not: a token.
func replyIntOrNil(w *resp.Writer, a answer) {
	if a.first().Done {
		w.Int(a.first().Int)
		return
	}
	w.Null()
}

func replyRevOrNil(w *resp.Writer, a answer) {
	if a.first().Done {
		w.Uint(a.first().Rev)
		return
	}
	w.Null()
}

func replyValue(w *resp.Writer, a answer) { writeValue(w, &a.first().Result) }

// replyStrings is for MGET, to which a key of another type is as one that does not exist.
func replyStrings(w *resp.Writer, a answer) {
	w.Array(len(a.results))
	for i := range a.results {
		if r := &a.results[i].Result; isString(r) {
			w.Bulk(r.Value)
		} else {
			w.Null()
		}
	}
}

// replyDoneCount and replyFoundCount count the names for which something was done, or that exist.
func replyDoneCount(w *resp.Writer, a answer) {
	n := 0
	for i := range a.results {
		if a.results[i].Done {
			n++
		}
	}
	w.Int(int64(n))
}

func replyFoundCount(w *resp.Writer, a answer) {
	n := 0
	for i := range a.results {
		if a.results[i].Found {
			n++
		}
	}
	w.Int(int64(n))
}

func writeFlag(w *resp.Writer, yes bool) {
	if yes {
		w.Int(1)
		return
	}
	w.Int(0)
}

func writeValue(w *resp.Writer, r *op.Result) {
	if r.Found {
		w.Bulk(r.Value)
		return
	}
	w.Null()
}

// remaining is how long there is until an expiry, in milliseconds; -1 for none.
func remaining(expireAt, now op.Timestamp) int64 {
	if expireAt == 0 {
		return -1
	}
	return max(expireAt.UnixMilli()-now.UnixMilli(), 0)
}
