package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
)

// digest is the SHA-256 of a password.
type digest [sha256.Size]byte

// parseDigest reads 64 lower case hexadecimal digits.
func parseDigest(text string) (d digest, ok bool) {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return d, false
		}
	}
	if len(text) != 2*len(d) {
		return d, false
	}
	_, err := hex.Decode(d[:], []byte(text))
	return d, err == nil
}

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// HashPassword is the rule that adds a password without saying it: # and its SHA-256 in hexadecimal digits.
func HashPassword(password string) string {
	return "#" + digest(sha256.Sum256([]byte(password))).String()
}

// Authenticate tells whether one may log in as the user with this password. u may be nil: there is no such user. How long it
// takes depends on nothing but the password's length and the number of the user's passwords.
func (u *User) Authenticate(password []byte) bool {
	given, match := digest(sha256.Sum256(password)), 0
	if u == nil {
		return false
	}
	for i := range u.passwords {
		match |= subtle.ConstantTimeCompare(given[:], u.passwords[i][:])
	}
	return u.enabled && (u.nopass || match == 1)
}

// addPassword and removePassword take the password after its sign: > and < come with the text itself, # and ! with its digest.
func (u *User) addPassword(d digest) {
	if !slices.Contains(u.passwords, d) {
		u.passwords = append(u.passwords, d)
	}
	u.nopass = false
}

func (u *User) removePassword(d digest) bool {
	i := slices.Index(u.passwords, d)
	if i < 0 {
		return false
	}
	u.passwords = slices.Delete(u.passwords, i, i+1)
	return true
}

func passwordDigest(sign byte, text string) (digest, bool) {
	if sign == '#' || sign == '!' {
		return parseDigest(text)
	}
	return sha256.Sum256([]byte(text)), true
}
