package commands

import "strings"

// redacted stands for what nobody who looks at the server may see.
var redacted = []byte("(redacted)")

// public is a command line without its secrets, for MONITOR and SLOWLOG. The line itself is not changed.
func public(args [][]byte) [][]byte {
	from, until := secrets(args)
	if from >= until {
		return args
	}
	shown := append([][]byte(nil), args...)
	for i := from; i < until; i++ {
		shown[i] = redacted
	}
	return shown
}

// secrets tells which arguments must not be shown: those from one index up to another.
func secrets(args [][]byte) (from, until int) {
	n := len(args)
	switch {
	case equalFold(args[0], "AUTH"):
		return 1, n
	case equalFold(args[0], "HELLO"):
		for i := 2; i < n; i++ {
			if equalFold(args[i], "AUTH") {
				return i + 1, min(i+3, n)
			}
		}
	case n > 2 && equalFold(args[0], "ACL") && equalFold(args[1], "SETUSER"):
		return 2, n
	case n > 2 && equalFold(args[0], "CONFIG") && equalFold(args[1], "SET"):
		for i := 2; i < n; i += 2 {
			if name := lower(args[i]); strings.Contains(name, "pass") || strings.Contains(name, "auth") {
				return i + 1, n
			}
		}
	}
	return 0, 0
}
