package commands

import (
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/op"
)

func TestEvents(t *testing.T) {
	r := newRig(Limits{})
	l := r.listener(1, 2)
	l.do(t, "PSUBSCRIBE __key*")
	live, gone := mvcc.Record{}, mvcc.Record{Deleted: true}
	due := mvcc.Record{ExpireAt: 5}
	hash, goneHash := mvcc.Record{Type: mvcc.TypeHash}, mvcc.Record{Type: mvcc.TypeHash, Deleted: true}
	for _, test := range []struct {
		setting string
		change  mvcc.Change
		want    string // channels without their beginning, each with its message
	}{
		{"", mvcc.Change{Record: live, Cause: op.KindSet}, ""},
		{"A", mvcc.Change{Record: live, Cause: op.KindSet}, ""},
		{"KEA", mvcc.Change{Record: live, Cause: op.KindSet}, "keyspace@0__:k set, keyevent@0__:set k"},
		{"EA", mvcc.Change{Record: due, Cause: op.KindSet}, "keyevent@0__:set k, keyevent@0__:expire k"},
		{"Eg", mvcc.Change{Record: due, Cause: op.KindSet}, "keyevent@0__:expire k"},
		{"K$", mvcc.Change{Record: live, Cause: op.KindIncr}, "keyspace@0__:k incrby"},
		{"K$", mvcc.Change{Record: live, Cause: op.KindIncrFloat}, "keyspace@0__:k incrbyfloat"},
		{"K$", mvcc.Change{Record: live, Cause: op.KindAppend}, "keyspace@0__:k append"},
		{"K$", mvcc.Change{Record: live, Cause: op.KindSetRange}, "keyspace@0__:k setrange"},
		{"K$", mvcc.Change{Record: gone, Cause: op.KindDelete}, ""},
		{"Kg", mvcc.Change{Record: gone, Cause: op.KindDelete}, "keyspace@0__:k del"},
		{"Kg", mvcc.Change{Record: gone, Cause: op.KindResolve}, "keyspace@0__:k del"},
		{"Kg", mvcc.Change{Record: gone, Cause: op.KindSweep}, ""},
		{"Ex", mvcc.Change{Record: gone, Cause: op.KindSweep}, "keyevent@0__:expired k"},
		{"Kg", mvcc.Change{Record: due, SameRev: true, Cause: op.KindExpire}, "keyspace@0__:k expire"},
		{"En$", mvcc.Change{Record: live, Cause: op.KindSet}, "keyevent@0__:new k, keyevent@0__:set k"},
		{"En$", mvcc.Change{Record: live, WasLive: true, Cause: op.KindSet}, "keyevent@0__:set k"},
		{"En", mvcc.Change{Record: gone, WasLive: true, Cause: op.KindDelete}, ""},
		{"Kg", mvcc.Change{Record: live, SameRev: true, Cause: op.KindExpire}, "keyspace@0__:k persist"},
		{"KA", mvcc.Change{Record: hash, Cause: op.KindHashSet}, "keyspace@0__:k hset"},
		{"KA", mvcc.Change{Record: hash, Cause: op.KindHashIncr}, "keyspace@0__:k hincrby"},
		{"KA", mvcc.Change{Record: hash, Cause: op.KindHashIncrFloat}, "keyspace@0__:k hincrbyfloat"},
		{"KA", mvcc.Change{Record: hash, Cause: op.KindHashDelete}, "keyspace@0__:k hdel"},
		{"EA", mvcc.Change{Record: goneHash, Cause: op.KindHashDelete}, "keyevent@0__:hdel k, keyevent@0__:del k"},
		{"Kh", mvcc.Change{Record: hash, Cause: op.KindMulti}, "keyspace@0__:k hset"},
		{"K$", mvcc.Change{Record: hash, Cause: op.KindResolve}, ""},
		{"KA", mvcc.Change{Record: goneHash, Cause: op.KindDelete}, "keyspace@0__:k del"},
		{"KA", mvcc.Change{Record: goneHash, Cause: op.KindSweep}, "keyspace@0__:k expired"},
		{"KA", mvcc.Change{Record: hash, SameRev: true, Cause: op.KindExpire}, "keyspace@0__:k persist"},
	} {
		r.send(t, "CONFIG SET notify-keyspace-events \""+test.setting+"\"")
		test.change.Name = op.Key([]byte("k"))
		other := test.change
		other.Name = op.Lock([]byte("k"))
		r.Changed([]mvcc.Change{other, test.change})
		var got []string
		words := strings.Split(l.took(), "\r\n")
		for i := 0; i+8 < len(words); i += 9 {
			got = append(got, strings.TrimPrefix(words[i+6], "__")+" "+words[i+8])
		}
		if text := strings.Join(got, ", "); text != test.want {
			t.Errorf("%s: %s, want %s", test.setting, text, test.want)
		}
	}
}

// send lets a client of its own say something.
func (r *rig) send(t *testing.T, line string) string { return r.client(99, 2).do(t, line) }
