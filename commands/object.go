package commands

import (
	"strconv"

	"kahuna/hashes"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/resp"
)

// embeddedBytes is the largest string that Redis keeps in its object's own memory.
const embeddedBytes = 44

// nameOverheadBytes is about what a key costs beside its name and value: the record's head, and the store's part.
const nameOverheadBytes = 128

func objectRows() []Command {
	sub := func(name, summary string, parse func(p *parser) request) Command {
		return keyed(2, 2, 1, "RO", Command{Name: name, Arity: 3, Flags: "readonly", Syntax: "key", Since: "2.2.3", Complexity: "O(1)", Summary: summary, parse: parse})[0]
	}
	help := func(container string) Command {
		return Command{Name: "help", Arity: 2, Flags: "loading stale", Since: "6.2.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp(container)}
	}
	usage := keyed(2, 2, 1, "RO", Command{Name: "usage", Arity: -3, Flags: "readonly", Syntax: "key [SAMPLES count]", Since: "4.0.0", Complexity: "O(1)",
		Summary: "About how many bytes a key takes in the store, its history not counted; nil if there is none.", parse: parseMemoryUsage})[0]
	rows := grouped("generic", "keyspace", []Command{{Name: "object", Arity: -2, Flags: "readonly", Since: "2.2.3", Complexity: "Depends on subcommand.", Summary: "About one key.", Sub: []Command{
		sub("encoding", "How Redis would keep the value: int, embstr or raw, of a hash listpack or hashtable; nil without a key.", parseObjectEncoding),
		sub("refcount", "1; nil without a key.", parseObject(func(w *resp.Writer, _ answer) { w.Int(1) })),
		sub("idletime", "Seconds since the key was written, for reads leave no trace; nil without a key.", parseObjectIdle),
		sub("freq", "Always an error: how often a key is used is not counted.", parseObject(func(w *resp.Writer, _ answer) { w.Error(errNoFrequency) })),
		help("object"),
	}}})
	return append(rows, grouped("server", "", []Command{
		{Name: "memory", Arity: -2, Flags: "readonly", Since: "4.0.0", Complexity: "Depends on subcommand.", Summary: "About the memory that keys take.", Sub: []Command{usage, help("memory")}},
	})...)
}

// parseObject answers about a key that exists, and nil about others.
func parseObject(reply replyFunc) func(p *parser) request {
	return func(p *parser) request {
		return one(&op.Look{Key: p.name(), Values: true}, func(w *resp.Writer, a answer) {
			if !a.first().Found {
				w.Null()
				return
			}
			reply(w, a)
		})
	}
}

func parseObjectEncoding(p *parser) request {
	return parseObject(func(w *resp.Writer, a answer) {
		if r := a.first(); mvcc.Type(r.Int) == mvcc.TypeHash {
			w.BulkString(hashEncoding(r.Value))
		} else {
			w.BulkString(encoding(r.Value))
		}
	})(p)
}

// What a hash has at most that Redis keeps as a list.
const (
	listpackFields = 512
	listpackBytes  = 64 // of a field, and of a value
)

// hashEncoding is the name of the form in which Redis would keep a hash that has just been made.
func hashEncoding(hash []byte) string {
	n := 0
	r := hashes.Read(hash)
	for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
		if n++; n > listpackFields || len(name) > listpackBytes || len(value) > listpackBytes {
			return "hashtable"
		}
	}
	return "listpack"
}

// encoding is the name of the form in which Redis would keep a string.
func encoding(value []byte) string {
	if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && strconv.FormatInt(n, 10) == string(value) {
		return "int"
	}
	if len(value) <= embeddedBytes {
		return "embstr"
	}
	return "raw"
}

func parseObjectIdle(p *parser) request {
	now := p.h.now().UnixMilli()
	return parseObject(func(w *resp.Writer, a answer) { w.Int(max(now-a.first().TS.UnixMilli(), 0) / 1000) })(p)
}

func parseMemoryUsage(p *parser) request {
	key := p.name()
	if p.more() {
		if !p.is("SAMPLES") {
			p.fail(errSyntax)
		}
		if p.int() < 0 {
			p.fail(errSyntax)
		}
	}
	p.end()
	return one(&op.Look{Key: key, Values: true}, func(w *resp.Writer, a answer) {
		if !a.first().Found {
			w.Null()
			return
		}
		w.Int(int64(len(key) + len(a.first().Value) + nameOverheadBytes))
	})
}
