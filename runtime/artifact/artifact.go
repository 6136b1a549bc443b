// Package artifact moves application executables (and the weft executable itself) to where they run, once.
//
// Cached files of jobs (package cachedfile) are in the same cache.
//
// On the client a Cache keeps them in a file system under the SHA-256 of their content, <staging>/cache/<sha256>/, so
// that a second submission uploads nothing. On a node a Fetcher brings an Artifact to the local disk, at most once per
// directory however many tasks ask for it, and lets nobody execute it before its SHA-256 has been checked.
//
// Both are safe for concurrent use, and several processes may share a cache or a node directory. The package starts
// no goroutine.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

var (
	// ErrChecksum is returned when the content fetched isn't the content asked for.
	ErrChecksum = errors.New("checksum mismatch")

	// ErrUntrusted is returned when a directory of the cache can be written by somebody other than the submitter and
	// the trusted owners, so that no file in it can be believed.
	ErrUntrusted = errors.New("artifact cache not trusted")

	// ErrChanged is returned when a local file changed while it was read.
	ErrChanged = errors.New("file changed while it was read")
)

// Key is the SHA-256 of an artifact's content.
type Key [sha256.Size]byte

// ParseKey reads the 64 hexadecimal digits that Key.String writes.
func ParseKey(s string) (Key, error) {
	var k Key
	if len(s) != hex.EncodedLen(len(k)) {
		return k, fmt.Errorf("parse artifact key %q: want %d hexadecimal digits", s, hex.EncodedLen(len(k)))
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return k, fmt.Errorf("parse artifact key %q: %w", s, err)
	}
	return k, nil
}

// String returns the key in hexadecimal digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// MarshalText returns the key in hexadecimal digits.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKey(string(b))
	return err
}

// Artifact says where an artifact is and how it is recognised. Size and MTime are exactly what the file system reports:
// YARN compares both before it localises the file.
type Artifact struct {
	// URI is the file's full location; empty if the receiver knows where to ask for the key.
	URI string `json:"uri,omitempty"`
	// SHA256 of the content.
	SHA256 Key `json:"sha256"`
	// Size in bytes.
	Size int64 `json:"size"`
	// MTime in milliseconds since 1970.
	MTime int64 `json:"mtime"`
}
