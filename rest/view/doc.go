// Package view turns the runtime's snapshots of jobs and TaskManagers into the JSON shapes of package api. The REST server
// answers with them, and an archive of finished jobs keeps them.
//
// It is functions only; they don't change what they are given.
package view

import (
	"crypto/md5"
	"encoding/hex"
)

// groupID is the id of a slot sharing group, which has a name only: Flink's clients want 32 hex digits.
func groupID(name string) string {
	sum := md5.Sum([]byte(name)) // an id, nothing is secured by it
	return hex.EncodeToString(sum[:])
}
