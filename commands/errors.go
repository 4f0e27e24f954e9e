package commands

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/script"
	"kahuna/txn/coord"
)

// Error texts that stand for themselves. Those that Redis has are Redis's own, to the letter.
const (
	errSyntax        = "ERR syntax error"
	errNotInteger    = "ERR value is not an integer or out of range"
	errNotFloat      = "ERR value is not a valid float"
	errNotPositive   = "ERR value is out of range, must be positive"
	errNoSuchKey     = "ERR no such key"
	errSameObject    = "ERR source and destination objects are the same"
	errDBIndex       = "ERR DB index is out of range"
	errCursor        = "ERR invalid cursor"
	errOffset        = "ERR offset is out of range"
	errDecrement     = "ERR decrement would overflow"
	errNestedMulti   = "ERR MULTI calls can not be nested"
	errWatchInMulti  = "ERR WATCH inside MULTI is not allowed"
	errNoFrequency   = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	errMaxAge        = "ERR maxage is not an integer or out of range"
	errNotTracking   = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
	errNoMulti       = "ERR Command not allowed inside a transaction"
	errNoMultiExec   = "ERR EXEC without MULTI"
	errNoMultiDrop   = "ERR DISCARD without MULTI"
	errNestedBegin   = "ERR BEGIN calls can not be nested"
	errBeginInMulti  = "ERR BEGIN inside MULTI is not allowed"
	errMultiInBegin  = "ERR MULTI inside BEGIN is not allowed: all up to COMMIT is one transaction"
	errWatchInBegin  = "ERR WATCH inside BEGIN is not allowed: COMMIT checks all that was read"
	errNoBeginCommit = "ERR COMMIT without BEGIN"
	errNoRollback    = "ERR ROLLBACK without BEGIN"
	errExecAbort     = "EXECABORT Transaction discarded because of previous errors."
	errNoProto       = "NOPROTO unsupported protocol version"
	errWrongPass     = "WRONGPASS invalid username-password pair or user is disabled."
	errNoPassword    = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	errClientName    = "ERR Client names cannot contain spaces, newlines or special characters."
	errNoSuchClient  = "ERR No such client"
	errBadClientID   = "ERR client-id should be greater than 0"
	errNameEmpty     = "ERR name is empty"
	errStepZero      = "ERR STEP must not be 0"
	errKeysNone      = "ERR The command has no key arguments"
	errKeysArity     = "ERR Invalid number of arguments specified for command"
	errKeysCommand   = "ERR Invalid command specified"
	errExpireNX      = "ERR NX and XX, GT or LT options at the same time are not compatible"
	errExpireGTLT    = "ERR GT and LT options at the same time are not compatible"
	errTimeoutFloat  = "ERR timeout is not a float or out of range"
	errTimeoutMinus  = "ERR timeout is negative"
	errTimestamps    = "ERR value is out of range, must be between 1 and 4096"
	errOutOfRange    = "ERR value is out of range"
	errNotFinite     = "ERR value is NaN or Infinity"
	errWantsTracking = "ERR client tracking is not supported by this version"
)

// statusText says how each status of an operation meets the wire. {name} is the name it was about, {limit} the limit of a
// value's size in bytes.
var statusText = map[op.Status]string{
	op.WrongType:      "WRONGTYPE Operation against a key holding the wrong kind of value",
	op.NotInteger:     errNotInteger,
	op.NotFloat:       errNotFloat,
	op.Overflow:       "ERR increment or decrement would overflow",
	op.NotFinite:      "ERR increment would produce NaN or Infinity",
	op.TooLarge:       "ERR value too large (limit {limit} bytes)",
	op.Exists:         "ERR sequence '{name}' exists with other settings",
	op.NotFound:       "ERR sequence '{name}' does not exist",
	op.Exhausted:      "ERR sequence '{name}' is exhausted",
	op.IdemMismatch:   "ERR this IDEM key was used with another COUNT",
	op.WrongDirection: "ERR the value is not in the direction of the sequence's step (use FORCE)",
	op.OutOfBounds:    "ERR the value is not between the sequence's MIN and MAX",
	op.Mismatch:       "ERR the holders of lock '{name}' named another number of permits",
	op.Collected:      "ERR the version asked for was collected",
	op.Unsupported:    "ERR this can't be done inside a transaction",
	op.BadSettings:    "ERR START must lie between MIN and MAX, and STEP must not be 0",
}

// statusCause says which statuses are not about the one operation but end the transaction around it. They never get here
// where the Backend runs again what conflicts, and sends again what bounced; should one, nothing was changed, save for Unknown.
var statusCause = map[op.Status]error{
	op.Moved:    fmt.Errorf("%w: the range is moving", cluster.ErrTryAgain),
	op.Blocked:  fmt.Errorf("%w: a transaction is in the way", cluster.ErrTryAgain),
	op.Again:    fmt.Errorf("%w: the leader is changing", cluster.ErrTryAgain),
	op.Conflict: coord.ErrConflict,
	op.Aborted:  coord.ErrConflict,
	op.Unknown:  fmt.Errorf("%w: the write was sent before, and its end is not known any more", cluster.ErrUncertain),
}

// errorPrefix says how an error of the layers below meets the wire.
var errorPrefix = []struct {
	err    error
	prefix string
}{
	{coord.ErrConflict, "CONFLICT "},
	{coord.ErrTooMany, "TRYAGAIN "},
	{coord.ErrTimedOut, "ERR "},
	{coord.ErrOver, "ERR "},
	{coord.ErrReadOnly, "ERR "},
	{cluster.ErrUncertain, "UNCERTAIN "},
	{cluster.ErrTryAgain, "TRYAGAIN "},
	{cluster.ErrClusterDown, "CLUSTERDOWN "},
	{cluster.ErrTooLarge, "ERR "},
	{cluster.ErrFuture, "ERR "},
	{cluster.ErrCollected, "ERR "},
	{cluster.ErrHolds, "ERR "},
	{cluster.ErrFault, "ERR "},
	{cluster.ErrRefused, "ERR "},
	{script.ErrLimit, "ERR script stopped, nothing was changed: "},
}

// userError is an error of one command, and its whole reply. Inside a transaction it is that command's element; every other
// error ends the transaction.
type userError string

func (e userError) Error() string { return string(e) }

// errorText is the reply for an error. An error that nobody thought of is UNCERTAIN: only for those of the table it is known
// that nothing was changed.
func errorText(err error) string {
	var user userError
	if errors.As(err, &user) {
		return string(user)
	}
	for _, row := range errorPrefix {
		if errors.Is(err, row.err) {
			return row.prefix + oneLine(plainText(strings.TrimPrefix(err.Error(), row.err.Error()+": ")))
		}
	}
	return "UNCERTAIN " + oneLine(plainText(err.Error()))
}

// packageNames begin the errors of packages below, for those who read logs. Users know nothing of them.
var packageNames = []string{"cluster", "partition", "raftgroup", "hub", "peer", "placement", "fsm", "txn", "coord", "mvcc", "storage", "wal"}

// plainText is an error's text without the names of packages.
func plainText(text string) string {
	for _, name := range packageNames {
		text = strings.TrimPrefix(text, name+": ")
		text = strings.ReplaceAll(text, ": "+name+": ", ": ")
	}
	return text
}

// statusError is the error of an operation that ended with a status other than OK.
func (l *Limits) statusError(s op.Status, o op.Op) error {
	if cause, ok := statusCause[s]; ok {
		return cause
	}
	if _, lock := o.(*op.LockAcquire); lock && s == op.TooLarge {
		return userError("ERR lock '" + shown(o.Target().Key, 128) + "' has too many holders")
	}
	if text := hashText(s, o, l.ValueBytes); text != "" {
		return userError(text)
	}
	text, ok := statusText[s]
	if !ok {
		return userError(fmt.Sprintf("ERR the operation ended with status %d, which this version does not know", s))
	}
	if strings.IndexByte(text, '{') < 0 {
		return userError(text)
	}
	r := strings.NewReplacer("{name}", shown(o.Target().Key, 128), "{limit}", strconv.Itoa(l.ValueBytes))
	return userError(r.Replace(text))
}

// hashText is the text of a status that is another one for operations on hashes; "" for all others.
func hashText(s op.Status, o op.Op, limit int) string {
	switch o.(type) {
	case *op.HashIncr, *op.HashIncrFloat:
		switch s {
		case op.NotInteger:
			return "ERR hash value is not an integer"
		case op.NotFloat:
			return "ERR hash value is not a float"
		}
	case *op.HashGet:
		if s == op.TooLarge {
			return "ERR " + tooLarge("reply", limit)
		}
	}
	return ""
}

// tooLarge is the error for a name or a value above its limit.
func tooLarge(what string, limitBytes int) string {
	return what + " too large (limit " + strconv.Itoa(limitBytes) + " bytes)"
}

func wrongArity(name string) string {
	return "ERR wrong number of arguments for '" + name + "' command"
}

// unknownCommand is the text of Redis, which shows the beginning of the name and of the arguments.
func unknownCommand(args [][]byte) string {
	var b strings.Builder
	b.WriteString("ERR unknown command '")
	b.WriteString(shown(args[0], 128))
	b.WriteString("', with args beginning with: ")
	var list strings.Builder
	for _, a := range args[1:] {
		if list.Len() >= 128 {
			break
		}
		list.WriteString("'" + shown(a, 128-list.Len()) + "' ")
	}
	b.WriteString(list.String())
	return b.String()
}

func unknownSubcommand(container string, sub []byte) string {
	return "ERR unknown subcommand '" + shown(sub, 128) + "'. Try " + strings.ToUpper(container) + " HELP."
}

// shown is text from a client made fit for an error line, at most n bytes of it.
func shown(b []byte, n int) string { return oneLine(string(b[:min(len(b), max(n, 0))])) }

// oneLine replaces what would end a line of the protocol.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		return strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	}
	return s
}
