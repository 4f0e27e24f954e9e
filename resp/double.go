package resp

import (
	"math"
	"strconv"
)

// appendDouble appends the shortest decimal that reads back as value, in the layout of Redis 7.2 and later (fpconv):
// plain digits where they are short, else an exponent with its sign and no leading zeros.
func appendDouble(dst []byte, value float64) []byte {
	switch {
	case math.IsNaN(value):
		return append(dst, "nan"...)
	case math.IsInf(value, 1):
		return append(dst, "inf"...)
	case math.IsInf(value, -1):
		return append(dst, "-inf"...)
	}
	if math.Signbit(value) {
		dst = append(dst, '-')
		value = -value
	}
	if value == 0 {
		return append(dst, '0')
	}
	var scratch [24]byte
	digits, exponent := decimal(scratch[:0], value)
	return layout(dst, digits, exponent)
}

// decimal is the shortest digits of a positive value and the power of ten of the first of them.
func decimal(dst []byte, value float64) (digits []byte, exponent int) {
	text := strconv.AppendFloat(dst, value, 'e', -1, 64) // d[.ddd]e±dd
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	for _, c := range text[e+2:] {
		exponent = exponent*10 + int(c-'0')
	}
	if text[e+1] == '-' {
		exponent = -exponent
	}
	if e == 1 {
		return text[:1], exponent
	}
	copy(text[1:], text[2:e])
	return text[:e-1], exponent
}

func layout(dst, digits []byte, exponent int) []byte {
	n := len(digits)
	last := exponent - n + 1 // power of ten of the last digit
	magnitude := exponent
	if magnitude < 0 {
		magnitude = -magnitude
	}
	switch {
	case last >= 0 && magnitude < n+7:
		dst = append(dst, digits...)
		return zeros(dst, last)
	case last < 0 && (last > -7 || magnitude < 4):
		return fraction(dst, digits, exponent)
	}
	dst = append(dst, digits[0])
	if n > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	sign := byte('+')
	if exponent < 0 {
		sign = '-'
	}
	dst = append(dst, 'e', sign)
	return strconv.AppendInt(dst, int64(magnitude), 10)
}

// fraction lays digits out around the decimal point.
func fraction(dst, digits []byte, exponent int) []byte {
	if exponent < 0 {
		dst = zeros(append(dst, '0', '.'), -exponent-1)
		return append(dst, digits...)
	}
	dst = append(append(dst, digits[:exponent+1]...), '.')
	return append(dst, digits[exponent+1:]...)
}

func zeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}
