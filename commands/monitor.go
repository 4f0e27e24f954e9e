package commands

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"kahuna/resp"
)

// monitors are the sessions in MONITOR. While there are none, a command pays one atomic load for them.
type monitors struct {
	n   atomic.Int32
	mu  sync.Mutex // guards all
	all map[*Session]struct{}
}

func (m *monitors) add(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[*Session]struct{}{}
	}
	m.all[s] = struct{}{}
	m.n.Store(int32(len(m.all)))
}

func (m *monitors) remove(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, s)
	m.n.Store(int32(len(m.all)))
}

// feed shows a command to all monitors, without its secrets. What only administrators say is not shown, as in Redis.
// RESET is not shown to who says it, for that ends MONITOR there.
func (m *monitors) feed(s *Session, row *Command, args [][]byte) {
	if row.has("admin") {
		return
	}
	from := s.conn.Remote
	if row.Name == "reset" {
		s.leaveMonitor()
	}
	m.show(s, from, args)
}

// feedScripted shows a command that a script calls.
func (m *monitors) feedScripted(s *Session, row *Command, args [][]byte) {
	if !row.has("admin") {
		m.show(s, "lua", args)
	}
}

func (m *monitors) show(s *Session, from string, args [][]byte) {
	now := s.h.now()
	line := fmt.Appendf(nil, "%d.%06d [0 %s]", now.Unix(), now.Nanosecond()/1000, from)
	for _, a := range public(args) {
		line = append(line, ' ')
		line = appendQuoted(line, a)
	}
	text := string(line)
	m.mu.Lock()
	defer m.mu.Unlock()
	for watcher := range m.all {
		watcher.conn.Push(func(w *resp.Writer) { w.SimpleString(text) })
	}
}

// appendQuoted appends text in quotes as Redis prints it.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, b := range text {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\n':
			dst = append(dst, '\\', 'n')
		case b == '\r':
			dst = append(dst, '\\', 'r')
		case b == '\t':
			dst = append(dst, '\\', 't')
		case b == '\a':
			dst = append(dst, '\\', 'a')
		case b == '\b':
			dst = append(dst, '\\', 'b')
		case b >= ' ' && b <= '~':
			dst = append(dst, b)
		default:
			dst = append(dst, '\\', 'x')
			if b < 16 {
				dst = append(dst, '0')
			}
			dst = strconv.AppendUint(dst, uint64(b), 16)
		}
	}
	return append(dst, '"')
}

func directMonitor(s *Session, x *execution) {
	if s.conn.Push == nil {
		x.w.Error("ERR this connection can't be sent anything but replies")
		return
	}
	x.w.SimpleString("OK")
	s.monitors = true
	s.h.monitors.add(s)
}

func (s *Session) leaveMonitor() {
	if s.monitors {
		s.monitors = false
		s.h.monitors.remove(s)
	}
}
