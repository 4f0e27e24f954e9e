package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is one field of a Config seen as a setting.
type value interface {
	parse(text string) error // from a flag or the environment
	decode(v any) error      // from a decoded TOML value
	plain() string           // the present value as parse takes it
	literal() string         // the present value as TOML text
	allowed() string         // completes "must be ..."
}

// notAllowed is what parse and decode answer for a value that a setting can't have.
type notAllowed struct{ value, allowed string }

func (e notAllowed) Error() string {
	return fmt.Sprintf("%s is not allowed, it must be %s", e.value, e.allowed)
}

func refuse(v value, got any) error {
	if text, ok := got.(string); ok {
		got = strconv.Quote(text)
	}
	return notAllowed{fmt.Sprint(got), v.allowed()}
}

// number is a whole number in [min, max], in the field's own unit.
type number struct {
	min, max int64
	set      func(int64)
	get      func() int64
}

func integer[T int | int64](p *T, def, min, max T) value {
	*p = def
	return number{int64(min), int64(max), func(n int64) { *p = T(n) }, func() int64 { return int64(*p) }}
}

// milliseconds is a duration that is written as a whole number of milliseconds.
func milliseconds(p *time.Duration, def, min, max time.Duration) value {
	*p = def
	return number{min.Milliseconds(), max.Milliseconds(),
		func(n int64) { *p = time.Duration(n) * time.Millisecond }, func() int64 { return p.Milliseconds() }}
}

func (v number) parse(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return refuse(v, text)
	}
	return v.decode(n)
}

func (v number) decode(got any) error {
	n, ok := got.(int64)
	if !ok || n < v.min || n > v.max {
		return refuse(v, got)
	}
	v.set(n)
	return nil
}

func (v number) plain() string   { return strconv.FormatInt(v.get(), 10) }
func (v number) literal() string { return v.plain() }
func (v number) allowed() string { return fmt.Sprintf("a whole number from %d to %d", v.min, v.max) }

// toggle is true or false.
type toggle struct{ p *bool }

func boolean(p *bool, def bool) value {
	*p = def
	return toggle{p}
}

func (v toggle) parse(text string) error {
	if text != "true" && text != "false" {
		return refuse(v, text)
	}
	*v.p = text == "true"
	return nil
}

func (v toggle) decode(got any) error {
	b, ok := got.(bool)
	if !ok {
		return refuse(v, got)
	}
	*v.p = b
	return nil
}

func (v toggle) plain() string   { return strconv.FormatBool(*v.p) }
func (v toggle) literal() string { return v.plain() }
func (v toggle) allowed() string { return "true or false" }

// text is a string that check accepts.
type text struct {
	p     *string
	check func(string) bool
	what  string
	quiet bool // it is never shown
}

func path(p *string, def string) value {
	*p = def
	return text{p, func(s string) bool { return s != "" && !strings.ContainsRune(s, 0) }, "a path", false}
}

// secretBytesMax bounds a password, so that a client can send it before it is known.
const secretBytesMax = 512

// secret is a text that is never shown.
func secret(p *string) value {
	return text{p, func(s string) bool { return len(s) <= secretBytesMax }, fmt.Sprintf("a text of up to %d bytes", secretBytesMax), true}
}

// filePath is a path that may be left out.
func filePath(p *string) value {
	return text{p, func(s string) bool { return !strings.ContainsRune(s, 0) }, "a path, or empty", false}
}

func host(p *string) value {
	return text{p, func(s string) bool { return len(s) <= 253 && !strings.ContainsAny(s, " /\x00\n\"[]") }, "a host name or an address without a port, or empty", false}
}

// nodeNameBytesMax is the limit of DNS labels, as most node names are host names.
const nodeNameBytesMax = 63

func nodeName(p *string) value {
	return text{p, isNodeName, fmt.Sprintf("up to %d letters, digits, '.', '_' or '-'", nodeNameBytesMax), false}
}

func isNodeName(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	return len(s) <= nodeNameBytesMax && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0
}

func eventClasses(p *string) value {
	return text{p, func(s string) bool { return strings.Trim(s, "Ag$lshzxeKEtmdn") == "" }, "letters of Ag$lshzxeKEtmdn", false}
}

func address(p *string, def string) value {
	*p = def
	return text{p, isAddress, "HOST:PORT (an empty HOST: all interfaces; PORT 0: any free one)", false}
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func choice(p *string, def string, of ...string) value {
	*p = def
	return text{p, func(s string) bool { return slices.Contains(of, s) }, "one of " + strings.Join(of, ", "), false}
}

func (v text) parse(s string) error {
	switch {
	case !v.check(s) && v.quiet:
		return notAllowed{"this value", v.allowed()}
	case !v.check(s):
		return refuse(v, s)
	}
	*v.p = s
	return nil
}

func (v text) decode(got any) error {
	s, ok := got.(string)
	switch {
	case !ok && v.quiet:
		return notAllowed{"this value", v.allowed()}
	case !ok:
		return refuse(v, got)
	}
	return v.parse(s)
}

func (v text) plain() string {
	if v.quiet && *v.p != "" {
		return "(hidden)"
	}
	return *v.p
}

func (v text) literal() string { return strconv.Quote(v.plain()) }
func (v text) allowed() string { return v.what }

// list is addresses of other machines: with commas between them as text, an array of strings in the file.
type list struct{ p *[]string }

func addresses(p *[]string) value { return list{p} }

func (v list) parse(s string) error {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return v.take(parts, s)
}

func (v list) decode(got any) error {
	items, ok := got.([]any)
	if !ok {
		return refuse(v, got)
	}
	parts := make([]string, len(items))
	for i, item := range items {
		if parts[i], ok = item.(string); !ok {
			return refuse(v, got)
		}
	}
	return v.take(parts, got)
}

func (v list) take(parts []string, got any) error {
	for _, part := range parts {
		if host, port, err := net.SplitHostPort(part); err != nil || host == "" || port == "0" || !isAddress(part) {
			return refuse(v, got)
		}
	}
	*v.p = parts
	return nil
}

func (v list) plain() string { return strings.Join(*v.p, ",") }

func (v list) literal() string {
	quoted := make([]string, len(*v.p))
	for i, part := range *v.p {
		quoted[i] = strconv.Quote(part)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (v list) allowed() string {
	return "HOST:PORT addresses (in the file an array of them, else with commas between)"
}
