package commands

import (
	"slices"
	"strings"
	"sync"
	"time"

	"kahuna/acl"
	"kahuna/resp"
)

const (
	denialsDefault = 128    // lines of ACL LOG, as in Redis
	denialsLimit   = 10_000 // for the setting acllog-max-len
	denialTogether = time.Minute
)

// denial is a line of ACL LOG: what was refused, and how often.
type denial struct {
	id      int64
	count   int64
	reason  string // command, key, channel or auth
	context string // toplevel, multi or lua
	object  string // the command, or the name that was to blame
	user    string
	client  string // its line of CLIENT LIST
	first   time.Time
	last    time.Time
}

// denials are what was refused on this node, newest last.
type denials struct {
	mu    sync.Mutex // guards what follows
	lines []denial
	next  int64
	most  int // lines that are kept
}

// resize says how many lines are kept.
func (l *denials) resize(most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = most
	l.shorten()
}

// size is how many lines are kept.
func (l *denials) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}

// shorten drops the oldest lines beyond the limit. l.mu is held.
func (l *denials) shorten() {
	if over := len(l.lines) - l.most; over > 0 {
		l.lines = slices.Delete(l.lines, 0, over)
	}
}

// add notes a denial. What comes again within a minute is counted with what was there.
func (l *denials) add(d denial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.id, d.count = l.next, 1
	for i := len(l.lines) - 1; i >= 0; i-- {
		old := l.lines[i]
		if old.reason == d.reason && old.context == d.context && old.object == d.object && old.user == d.user && d.first.Sub(old.last) < denialTogether {
			d.id, d.count, d.first = old.id, old.count+1, old.first
			l.lines = append(l.lines[:i], l.lines[i+1:]...)
			break
		}
	}
	if d.count == 1 {
		l.next++
	}
	l.lines = append(l.lines, d)
	l.shorten()
}

func (l *denials) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// newest are the last n.
func (l *denials) newest(n int) []denial {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []denial
	for i := len(l.lines) - 1; i >= 0 && len(list) < n; i-- {
		list = append(list, l.lines[i])
	}
	return list
}

func (s *Session) noteDenial(why acl.Denied, context string, row *Command, arg []byte) {
	d := denial{context: context, user: s.userName(), object: row.fullName()}
	d.reason = [...]string{acl.ByCommand: "command", acl.ByKey: "key", acl.ByChannel: "channel"}[why]
	if why != acl.ByCommand {
		d.object = string(arg)
	}
	s.logDenial(d)
}

// noteFailedAuth says that somebody did not know the password of a user, or named one that there is not.
func (s *Session) noteFailedAuth(user, command string) {
	context := "toplevel"
	if s.multi != nil {
		context = "multi"
	}
	s.logDenial(denial{reason: "auth", context: context, user: shown([]byte(user), 128), object: command})
}

func (s *Session) logDenial(d denial) {
	now := s.h.now()
	d.first, d.last, d.client = now, now, strings.TrimSuffix(s.line(), "\n")
	s.h.denials.add(d)
}

func (d *denial) write(w *resp.Writer, now time.Time) {
	w.Map(10)
	w.BulkString("count")
	w.Int(d.count)
	for _, f := range [][2]string{{"reason", d.reason}, {"context", d.context}, {"object", d.object}, {"username", d.user}} {
		w.BulkString(f[0])
		w.BulkString(f[1])
	}
	w.BulkString("age-seconds")
	w.Double(max(now.Sub(d.last).Seconds(), 0))
	w.BulkString("client-info")
	w.BulkString(d.client)
	for _, f := range []struct {
		name  string
		value int64
	}{{"entry-id", d.id}, {"timestamp-created", d.first.UnixMilli()}, {"timestamp-last-updated", d.last.UnixMilli()}} {
		w.BulkString(f.name)
		w.Int(f.value)
	}
}
