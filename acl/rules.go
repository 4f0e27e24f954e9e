package acl

//lint:file-ignore ST1005 the texts of errors are those of Redis, which clients compare

import (
	"errors"
	"fmt"
	"strings"
)

// Why a rule is refused; the texts are Redis's.
var (
	errSyntax     = errors.New("Syntax error")
	errUnknown    = errors.New("Unknown command or category name in ACL")
	errAllKeys    = errors.New("Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns")
	errAllChans   = errors.New("Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels")
	errNoPassword = errors.New("The password you are trying to remove from the user does not exist")
	errDigest     = errors.New("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")
	errSubArg     = errors.New("Allowing first-arg of a subcommand is not supported")
)

// RulesBytesMax bounds the rules of one user as text.
const RulesBytesMax = 64 << 10

// RuleError is a rule that is refused. Its text is what the client of ACL SETUSER is told behind ERR.
type RuleError struct {
	Rule string
	Err  error
}

func (e *RuleError) Error() string {
	return fmt.Sprintf("Error in ACL SETUSER modifier '%s': %v", e.Rule, e.Err)
}

func (e *RuleError) Unwrap() error { return e.Err }

// Apply makes the user that this one becomes by rules, in their order. When one of them is refused, the error says which, and
// there is no other user.
func (u *User) Apply(rules []string) (*User, error) {
	return u.apply(rules, false)
}

// apply, when lenient, passes over rules about commands that this version does not know: there is nothing to allow or to deny.
func (u *User) apply(rules []string, lenient bool) (*User, error) {
	merged, err := mergeSelectors(rules)
	if err != nil {
		return nil, err
	}
	next := u.clone()
	for _, rule := range merged {
		if err := next.rule(rule, lenient); err != nil {
			return nil, &RuleError{shownRule(rule), err}
		}
	}
	next.rules = next.describe()
	if len(next.rules) > RulesBytesMax {
		return nil, fmt.Errorf("the rules of the user are too large (limit %d bytes)", RulesBytesMax)
	}
	return next, nil
}

// shownRule is a rule in an error: a password is not repeated.
func shownRule(rule string) string {
	if rule != "" && (rule[0] == '>' || rule[0] == '<') && len(rule) > 1 {
		return rule[:1] + "(redacted)"
	}
	return rule
}

// mergeSelectors joins the words of a selector that came as several: "(~a*" "+get)".
func mergeSelectors(rules []string) (merged []string, err error) {
	open := -1
	for i, rule := range rules {
		ends := strings.HasSuffix(rule, ")")
		switch {
		case open >= 0:
			merged[len(merged)-1] += " " + rule
			if ends {
				open = -1
			}
		default:
			merged = append(merged, rule)
			if strings.HasPrefix(rule, "(") && !ends {
				open = i
			}
		}
	}
	if open >= 0 {
		return nil, fmt.Errorf("Unmatched parenthesis in acl selector starting at '%s'.", rules[open])
	}
	return merged, nil
}

// rule applies one rule: those about the user here, all others to its own selector.
func (u *User) rule(rule string, lenient bool) error {
	switch lower(rule) {
	case "":
	case "on", "off":
		u.enabled = len(rule) == len("on")
	case "nopass":
		u.nopass, u.passwords = true, nil
	case "resetpass":
		u.nopass, u.passwords = false, nil
	case "sanitize-payload":
		u.sanitize = sanitizeYes
	case "skip-sanitize-payload":
		u.sanitize = sanitizeSkip
	case "clearselectors":
		u.more = nil
	case "reset":
		*u = User{name: u.name, sanitize: sanitizeYes, root: newSelector(u.catalog), catalog: u.catalog}
	default:
		return u.signed(rule, lenient)
	}
	return nil
}

// signed applies a rule whose first byte says what it is.
func (u *User) signed(rule string, lenient bool) error {
	switch sign := rule[0]; sign {
	case '>', '#':
		d, ok := passwordDigest(sign, rule[1:])
		if !ok {
			return errDigest
		}
		u.addPassword(d)
	case '<', '!':
		d, ok := passwordDigest(sign, rule[1:])
		switch {
		case !ok:
			return errDigest
		case !u.removePassword(d):
			return errNoPassword
		}
	case '(':
		return u.addSelector(rule, lenient)
	default:
		return u.root.rule(u.catalog, rule, lenient)
	}
	return nil
}

func (u *User) addSelector(rule string, lenient bool) error {
	if !strings.HasSuffix(rule, ")") {
		return errSyntax
	}
	s := newSelector(u.catalog)
	for _, part := range fields(rule[1 : len(rule)-1]) {
		if strings.HasSuffix(part, ")") {
			return errSyntax // as text it could not be told from the selector's end
		}
		if err := s.rule(u.catalog, part, lenient); err != nil {
			return err
		}
	}
	u.more = append(u.more, s)
	return nil
}

// rule applies one rule about commands, keys or channels.
func (s *selector) rule(c *Catalog, rule string, lenient bool) error {
	switch lower(rule) {
	case "":
	case "allkeys", "~*":
		s.allKeys, s.keys = true, nil
	case "resetkeys":
		s.allKeys, s.keys = false, nil
	case "allchannels", "&*":
		s.allChannels, s.channels = true, nil
	case "resetchannels":
		s.allChannels, s.channels = false, nil
	case "allcommands", "+@all":
		s.everyCommand(true)
	case "nocommands", "-@all":
		s.everyCommand(false)
	default:
		return s.signed(c, rule, lenient)
	}
	return nil
}

func (s *selector) signed(c *Catalog, rule string, lenient bool) error {
	switch rule[0] {
	case '~', '%':
		return s.keyRule(rule)
	case '&':
		return s.channelRule(rule[1:])
	case '+', '-':
		err := s.commandRule(c, rule[0] == '+', rule[1:])
		if err == errUnknown && lenient {
			return nil
		}
		return err
	}
	return errSyntax
}

// keyRule adds a pattern: ~pattern, %R~pattern, %W~pattern or %RW~pattern.
func (s *selector) keyRule(rule string) error {
	if s.allKeys {
		return errAllKeys
	}
	may, glob := Read|Write, rule[1:]
	if rule[0] == '%' {
		var ok bool
		if may, glob, ok = splitPermission(glob); !ok {
			return errSyntax
		}
	}
	if hasSpace(glob) {
		return errSyntax
	}
	have := s.findKey([]byte(glob))
	if have == nil {
		s.keys = append(s.keys, keyPattern{glob: []byte(glob)})
		have = &s.keys[len(s.keys)-1]
	}
	if have.may |= may; have.may == Read|Write && glob == "*" {
		s.allKeys, s.keys = true, nil
	}
	return nil
}

// splitPermission reads R, W or both up to ~, in any case, each once.
func splitPermission(text string) (may Permission, rest string, ok bool) {
	for i := range len(text) {
		switch c := text[i] | 0x20; {
		case c == 'r' && may&Read == 0:
			may |= Read
		case c == 'w' && may&Write == 0:
			may |= Write
		case text[i] == '~':
			return may, text[i+1:], may != 0
		default:
			return 0, "", false
		}
	}
	return may, "", may != 0
}

func (s *selector) channelRule(glob string) error {
	switch {
	case s.allChannels:
		return errAllChans
	case hasSpace(glob):
		return errSyntax
	case !s.hasChannel([]byte(glob)):
		s.channels = append(s.channels, []byte(glob))
	}
	return nil
}

func hasSpace(text string) bool { return strings.ContainsAny(text, " \t\n\v\f\r\x00") }

// fields splits text at spaces, those of ASCII only: patterns are bytes.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r < 128 && hasSpace(string(r)) })
}

// lower makes letters of ASCII small, and leaves all other bytes as they are.
func lower(text string) string {
	b := []byte(text)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// ValidName tells whether a user may be called so.
func ValidName(name string) bool { return !hasSpace(name) }
