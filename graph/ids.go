package graph

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// JobID identifies a job: 16 bytes, shown as 32 lower-case hex digits, as Flink does.
type JobID [16]byte

// NewJobID draws a random id.
func NewJobID() JobID {
	var id JobID
	rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// String returns the 32 hex digits.
func (id JobID) String() string { return hex.EncodeToString(id[:]) }

// ParseJobID reads what String wrote.
func ParseJobID(s string) (JobID, error) {
	var id JobID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("parse job id %q: want 32 hex digits", s)
	}
	copy(id[:], b)
	return id, nil
}

// ID returns the graph's job id.
func (g *JobGraph) ID() JobID {
	var id JobID
	copy(id[:], g.GetJobId())
	return id
}
