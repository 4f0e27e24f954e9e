package server

// parseLength reads a decimal as Redis does: an optional minus, no plus, no leading zeros, no spaces, and no more than
// 18 digits, which is beyond every limit and below overflow.
func parseLength(text []byte) (n int, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 18 || text[0] == '0' && (negative || len(text) > 1) {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}
