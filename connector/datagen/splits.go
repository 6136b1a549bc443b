package datagen

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// run is every step-th number from next on: what a subtask of the parallelism that the job had at first still has to make.
type run struct{ next, step int64 }

// A split is any number of runs: next and step as varints.
func appendRuns(dst []byte, runs ...run) []byte {
	for _, r := range runs {
		dst = binary.AppendVarint(binary.AppendVarint(dst, r.next), r.step)
	}
	return dst
}

func parseRuns(b []byte) ([]run, error) {
	var runs []run
	for len(b) != 0 {
		next, n := binary.Varint(b)
		if n <= 0 {
			return nil, errors.New("not understood")
		}
		step, m := binary.Varint(b[n:])
		if m <= 0 || next < 0 || step <= 0 {
			return nil, errors.New("not understood")
		}
		runs = append(runs, run{next, step})
		b = b[n+m:]
	}
	return runs, nil
}

// splits holds the runs that no reader has.
type splits struct {
	left    []run
	readers int64
}

// Next gives a reader all of its share at once: one that makes numbers for ever will not ask again.
func (s *splits) Next(reader int) ([]byte, bool, error) {
	var own, left []run
	for _, r := range s.left {
		if r.next%r.step%s.readers == int64(reader) {
			own = append(own, r)
		} else {
			left = append(left, r)
		}
	}
	if own == nil {
		return nil, false, nil
	}
	s.left = left
	return appendRuns(nil, own...), true, nil
}

// TakeBack takes what Next gave.
func (s *splits) TakeBack(splits [][]byte) {
	for _, b := range splits {
		if runs, err := parseRuns(b); err == nil {
			s.left = append(s.left, runs...)
		}
	}
}

// snapshotVersion begins a snapshot: it is never empty, since that is one of a job that has not begun.
const snapshotVersion = 1

// Snapshot is what is left, behind the version.
func (s *splits) Snapshot() ([]byte, error) {
	return appendRuns([]byte{snapshotVersion}, s.left...), nil
}

func (s *splits) restore(snapshot []byte) error {
	if snapshot[0] != snapshotVersion {
		return fmt.Errorf("version %d is unknown", snapshot[0])
	}
	var err error
	s.left, err = parseRuns(snapshot[1:])
	return err
}
