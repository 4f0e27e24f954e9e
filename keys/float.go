package keys

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"

	"kahuna/mvcc"
	"kahuna/op"
)

// Redis adds numbers as long doubles of 64 bits of mantissa and writes them with 17 digits after the point, so that
// 0.1 + 0.2 is 0.3. The same is done here in software, with every step rounded as IEEE 754 says, so that the bytes are
// Redis's and the same on every machine. Two things differ: hexadecimal numbers, which strtold takes, are not accepted, and
// what is too small for a long double counts as 0.
const (
	mantissaBits    = 64
	exponentMax     = 16384 // a long double is below 2^exponentMax
	fractionDigits  = 17
	numberBytesMax  = 5*1024 - 1
	decimalExponent = 5000 // larger ones are out of range whatever the digits, and would cost memory
)

// IncrFloat adds to a number.
func IncrFloat(v mvcc.View, o *op.IncrFloat) (op.Result, error) {
	return modify(v, o.Key, func(old []byte, found bool) ([]byte, bool, op.Result) {
		text, status := AddFloat(old, found, o.Delta)
		if status != op.OK {
			return refuse(status)
		}
		return text, true, op.Result{Value: bytes.Clone(text)}
	})
}

// AddFloat adds to the number that is written in old, or to 0 when there is none, and gives the text of the sum. The delta counts
// as the shortest decimal number that is that float64, which is what the client wrote if it has at most 15 digits. The status is
// NotFloat or NotFinite when that can't be done.
func AddFloat(old []byte, found bool, delta float64) (text []byte, status op.Status) {
	sum := new(big.Float)
	if found {
		if isInfinity(old) {
			return nil, op.NotFinite
		}
		var ok bool
		if sum, ok = parseFloat(old); !ok {
			return nil, op.NotFloat
		}
	}
	if math.IsNaN(delta) || math.IsInf(delta, 0) {
		return nil, op.NotFinite
	}
	more, ok := parseFloat(strconv.AppendFloat(nil, delta, 'e', -1, 64))
	if !ok {
		return nil, op.NotFinite
	}
	sum = new(big.Float).SetPrec(mantissaBits).Add(sum, more)
	if !inRange(sum) {
		return nil, op.NotFinite
	}
	return formatFloat(sum), op.OK
}

// parseFloat reads a decimal number. It is false for anything else, and for what a long double can't hold.
func parseFloat(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) > numberBytesMax {
		return nil, false
	}
	digits, exponent, has := strings.Cut(strings.ToLower(string(b)), "e")
	if !isDecimal(digits) {
		return nil, false
	}
	if has {
		e, err := strconv.Atoi(exponent)
		if err != nil || e < -decimalExponent || e > decimalExponent {
			return nil, false
		}
		digits += "e" + strconv.Itoa(e)
	}
	r, ok := new(big.Rat).SetString(digits)
	if !ok {
		return nil, false
	}
	f := new(big.Float).SetPrec(mantissaBits).SetRat(r)
	return f, inRange(f)
}

func inRange(f *big.Float) bool { return f.MantExp(nil) <= exponentMax }

// isDecimal tells whether s is an optional sign, and digits with at most one point among them.
func isDecimal(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	all := whole + fraction
	return all != "" && strings.Trim(all, "0123456789") == ""
}

func isInfinity(b []byte) bool {
	s := strings.ToLower(string(b[:min(len(b), len("-infinity")+1)]))
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s == "inf" || s == "infinity"
}

// formatFloat writes a number without exponent and without zeros at the end of the fraction.
func formatFloat(f *big.Float) []byte {
	text := f.Append(nil, 'f', fractionDigits)
	text = bytes.TrimRight(text, "0")
	text = bytes.TrimSuffix(text, []byte("."))
	if string(text) == "-0" {
		return []byte("0")
	}
	return text
}
