package server

import "github.com/tidwall/redcon"

// encode brings arguments into RESP form, so that there is one form to decode.
func encode(args [][]byte) []byte {
	out := redcon.AppendArray(nil, len(args))
	for _, arg := range args {
		out = redcon.AppendBulk(out, arg)
	}
	return out
}

// splitLine splits an inline command into arguments with Redis's quoting: "..." knows \xHH, \n, \r, \t, \b, \a and
// \<any>; '...' knows \'; a closing quote must be followed by a space or the end; a quote may open inside a word.
func splitLine(line []byte) ([][]byte, *protocolError) {
	var args [][]byte
	s := lineSplitter{line: line}
	for {
		s.spaces()
		if s.at == len(s.line) {
			return args, nil
		}
		arg, err := s.word()
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
}

type lineSplitter struct {
	line []byte
	at   int
}

func (s *lineSplitter) spaces() {
	for s.at < len(s.line) && isSpace(s.line[s.at]) {
		s.at++
	}
}

// word reads one argument, which begins at s.at.
func (s *lineSplitter) word() ([]byte, *protocolError) {
	arg := []byte{}
	for s.at < len(s.line) {
		c := s.line[s.at]
		s.at++
		var err *protocolError
		switch c {
		case 0:
			return nil, errNul
		case ' ', '\t', '\r':
			return arg, nil
		case '"':
			arg, err = s.double(arg)
		case '\'':
			arg, err = s.single(arg)
		default:
			arg = append(arg, c)
			continue
		}
		if err != nil || c == '"' || c == '\'' {
			return arg, err
		}
	}
	return arg, nil
}

// double reads to the closing double quote.
func (s *lineSplitter) double(arg []byte) ([]byte, *protocolError) {
	for s.at < len(s.line) {
		c := s.line[s.at]
		s.at++
		switch c {
		case 0:
			return nil, errNul
		case '"':
			return arg, s.closed()
		case '\\':
			c = s.escape()
		}
		arg = append(arg, c)
	}
	return nil, errQuotes
}

// escape reads what follows a backslash inside double quotes.
func (s *lineSplitter) escape() byte {
	if s.at == len(s.line) {
		return '\\' // the quote is never closed, which double reports
	}
	rest := s.line[s.at:]
	if len(rest) >= 3 && rest[0] == 'x' && isHex(rest[1]) && isHex(rest[2]) {
		s.at += 3
		return hex(rest[1])<<4 | hex(rest[2])
	}
	s.at++
	switch rest[0] {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return rest[0]
}

// single reads to the closing single quote.
func (s *lineSplitter) single(arg []byte) ([]byte, *protocolError) {
	for s.at < len(s.line) {
		c := s.line[s.at]
		s.at++
		switch {
		case c == 0:
			return nil, errNul
		case c == '\'':
			return arg, s.closed()
		case c == '\\' && s.at < len(s.line) && s.line[s.at] == '\'':
			c = '\''
			s.at++
		}
		arg = append(arg, c)
	}
	return nil, errQuotes
}

// closed checks what follows a closing quote.
func (s *lineSplitter) closed() *protocolError {
	if s.at < len(s.line) && !isSpace(s.line[s.at]) {
		return errQuotes
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func hex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}
