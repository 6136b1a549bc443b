package rpc

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
)

// tokenSize is the number of random bytes in a Token.
const tokenSize = 32

// Token is the secret with which a client of the REST endpoint proves that it may use the cluster: 32 random bytes,
// written in URL-safe base64. The zero Token authorises nobody.
type Token string

// NewToken draws a random token.
func NewToken() Token {
	var b [tokenSize]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return Token(base64.RawURLEncoding.EncodeToString(b[:]))
}

// ParseToken checks a token that was read from a file or the environment.
func ParseToken(s string) (Token, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != tokenSize {
		return "", fmt.Errorf("parse token: want %d bytes in URL-safe base64", tokenSize)
	}
	return Token(s), nil
}

// Equal compares with what a client presented, in a time that says nothing about either.
func (t Token) Equal(presented string) bool {
	a, b := sha256.Sum256([]byte(t)), sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && t != ""
}
