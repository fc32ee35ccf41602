package mi

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// NewToken makes a bearer token of 256 random bits and the hash of it that a configuration holds. The token consists of letters,
// digits, '-' and '_'.
func NewToken() (token, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, HashToken(token)
}

// HashToken is the hash of a token: SHA-256 in hexadecimal digits. A token is no password: nobody can guess one, so that a slow
// hash would protect nothing.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
