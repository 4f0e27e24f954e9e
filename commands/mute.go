package commands

// mute is a session whose client asked for no replies: CLIENT REPLY OFF, or SKIP for the next command.
type mute struct {
	skip bool // ends after one command
}

// serve executes one command and takes its replies back. Confirmations of subscriptions are sent all the same, as in Redis, for
// they are messages.
func (m *mute) serve(s *Session, x *execution, refused string) {
	mark, keep := x.w.Len(), false
	if len(x.args) > 0 {
		row := s.h.table.find(x.args[0])
		keep = row != nil && row.Group == "pubsub" && row.mayWhileListening()
		s.accept(x)
	} else {
		s.reject(x, refused)
	}
	s.flush(x)
	if s.mute == m && !keep {
		x.w.Truncate(mark)
	}
	if s.mute == m && m.skip {
		s.mute = nil
	}
}

// directClientReply changes what is replied to, from itself on: ON is answered, OFF and SKIP are not.
func directClientReply(s *Session, x *execution) {
	switch arg := x.args[2]; {
	case equalFold(arg, "ON"):
		s.mute = nil
		x.w.SimpleString("OK")
	case equalFold(arg, "OFF"):
		s.mute = &mute{}
	case equalFold(arg, "SKIP"):
		if s.mute == nil {
			s.mute = &mute{skip: true}
		}
	default:
		x.w.Error(errSyntax)
	}
}
