package file

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"path"
	"strconv"
	"strings"
)

const (
	// hiddenSuffix ends the names of parts that are not committed.
	hiddenSuffix = ".inprogress"
	// marker and a job's id are the name of the file that gives a directory to that job.
	marker = ".weft-output-"
)

// hiddenName is where a part is until it is committed: its job and run are in it, and the id of its writer.
func hiddenName(name, job string, r run, id string) string {
	return fmt.Sprintf(".%s.%d-%d-%s-%s%s", name, r.Epoch, r.Attempt, job, id, hiddenSuffix)
}

// run is an execution of a job's subtasks: the attempts under a JobManager are counted anew under the next.
type run struct {
	Epoch   uint64 `json:"epoch,omitempty"`
	Attempt int    `json:"attempt"`
}

// before says that r is earlier than other.
func (r run) before(other run) bool {
	return r.Epoch < other.Epoch || r.Epoch == other.Epoch && r.Attempt < other.Attempt
}

// origin is where a hidden part comes from.
type origin struct {
	job  string
	run  run
	sink string // sinkID
}

// parseHidden says where a hidden part comes from; ok is false for all other names.
func parseHidden(name string) (o origin, ok bool) {
	name, ok = strings.CutSuffix(name, hiddenSuffix)
	if !ok || !strings.HasPrefix(name, ".") {
		return o, false
	}
	fields := strings.Split(name[strings.LastIndexByte(name, '.')+1:], "-")
	if len(fields) != 4 || len(fields[3]) < sinkIDLength {
		return o, false
	}
	epoch, epochErr := strconv.ParseUint(fields[0], 10, 64)
	attempt, err := strconv.Atoi(fields[1])
	return origin{fields[2], run{epoch, attempt}, fields[3][:sinkIDLength]}, epochErr == nil && err == nil && attempt >= 0
}

const sinkIDLength = 8

// sinkID tells the sinks of a job apart, so that none takes the parts of another for its leftovers.
func sinkID(operator, dir string) string {
	h := fnv.New32a()
	h.Write([]byte(operator + "\x00" + dir))
	return fmt.Sprintf("%0*x", sinkIDLength, h.Sum32())
}

// writerID is an id that only one writer has, since a JobManager that took over may count attempts anew.
func writerID(sink string) string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return sink + hex.EncodeToString(b[:])
}

// inside says that p is the clean path of something below the directory.
func inside(p string) bool {
	return p != "" && p != "." && p == path.Clean(p) && p[0] != '/' && p != ".." && !strings.HasPrefix(p, "../")
}

// checkBucket says what is wrong with the name of a bucket.
func checkBucket(b string) error {
	if b == "" {
		return nil
	}
	wrong := !inside(b) || strings.ContainsRune(b, 0) || len(b) > 4096
	for segment := range strings.SplitSeq(b, "/") {
		wrong = wrong || segment == "" || segment[0] == '.' || len(segment) > 255
	}
	if wrong {
		return fmt.Errorf("bucket %q: it must be a path below the directory, like 2026/11/21, of names that are not hidden", b)
	}
	return nil
}
