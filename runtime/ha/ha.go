// Package ha is the epoch log: the one fence between an old JobManager that lives on and its successor.
//
// A Log is a small, durable list of records in a directory (high-availability.storageDir). Log.Acquire takes the next
// epoch: it seals every older one and then reads what the log holds. Epoch.Append adds a record, and fails with
// ErrFenced once a newer epoch exists, so that nothing an old JobManager does after that counts: it can complete no
// checkpoint, register no job and commit no output. Whoever acts on the world (telling sinks to commit, for instance)
// acts only after Append has returned nil.
//
// A record with the Kind and Key of an earlier one supersedes it; the log keeps the last one of each.
//
// How an epoch is taken and sealed depends on what the file system does atomically. With link(2) (file:) the log is a
// numbered sequence of files and epochs and records compete for the next number: see sequence.go. Without (HDFS) an
// epoch is a directory moved into place, and sealing moves the directory that its records are renamed into: see
// directory.go. NewMemory keeps the log in memory, for a MiniCluster or where no directory is configured.
//
// Logs and Epochs are safe for concurrent use. The package starts no goroutine. Log.Read is for those who only look,
// such as a TaskManager in search of the JobManager's address; it seals nothing.
package ha

import (
	"context"
	"errors"
	"fmt"

	"github.com/weftstream/weft/filesystem"
)

var (
	// ErrFenced is returned once a newer epoch exists: this process leads no longer. The record may nevertheless be in
	// the log if the epoch ended while it was being written; the new leader has then read it.
	ErrFenced = errors.New("fenced by a newer epoch")

	// ErrCorrupt is returned for a log whose content contradicts itself or its checksums.
	ErrCorrupt = errors.New("high-availability log is corrupt")

	// ErrTooLarge is returned for a record beyond MaxPayload or MaxKey.
	ErrTooLarge = errors.New("record too large")
)

// Limits of a record, in bytes.
const (
	MaxPayload = 16 << 20
	MaxKey     = 4 << 10
)

// Kind says what a record is about. The values are on disk: never change one, never use one again.
type Kind uint16

const (
	// KindJobResult is the result of a job that ended; the key is the job's id.
	KindJobResult Kind = 1
	// KindCommittedOutput says that the output of a bounded job or stage is complete and to be committed.
	KindCommittedOutput Kind = 2
	// KindJobRegistry registers a job: its name and occurrence or key, its id and parameters.
	KindJobRegistry Kind = 3
	// KindCheckpoint is the newest completed checkpoint of a job.
	KindCheckpoint Kind = 4
	// KindAddress is where the JobManager can be reached.
	KindAddress Kind = 5
	// KindRequirements are the bounds of a job's parallelism that were asked for while it ran; the key is the job's id.
	KindRequirements Kind = 6
)

// String returns the name that file names and messages use.
func (k Kind) String() string {
	switch k {
	case KindJobResult:
		return "job-result"
	case KindCommittedOutput:
		return "committed-output"
	case KindJobRegistry:
		return "job-registry"
	case KindCheckpoint:
		return "checkpoint"
	case KindAddress:
		return "address"
	case KindRequirements:
		return "requirements"
	}
	return fmt.Sprintf("kind-%d", uint16(k))
}

// Record is one entry of the log.
type Record struct {
	// Kind and Key identify what the record is about: the next record with both the same supersedes it.
	Kind Kind
	Key  string
	// Payload is the content, opaque to this package.
	Payload []byte
}

// Log is an epoch log in one place. It is safe for concurrent use.
type Log struct {
	store store
	where string
}

// Open returns the log in a directory, which Acquire creates if need be. Nothing is read or written yet.
func Open(fsys filesystem.FileSystem, dir string) *Log {
	if linker, ok := fsys.(filesystem.Linker); ok {
		return &Log{store: &sequence{fs: fsys, link: linker, dir: dir}, where: fsys.URI(dir)}
	}
	return &Log{store: &directory{fs: fsys, dir: dir}, where: fsys.URI(dir)}
}

// String returns the location of the log.
func (l *Log) String() string { return l.where }

// Acquire takes a new epoch: when it returns, every older epoch is sealed, and the records are all that was ever
// appended and not superseded, in the order of appending. It fails with ErrFenced if another contender took a newer
// epoch meanwhile, and with ErrCorrupt if a record can't be read.
func (l *Log) Acquire(ctx context.Context) (*Epoch, []Record, error) {
	es, entries, err := l.store.acquire(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("acquire epoch of high-availability log %s: %w", l.where, err)
	}
	current, superseded := latest(entries)
	e := newEpoch(es, l.where, current, superseded)
	e.discard(ctx)
	return e, records(current), nil
}

// Read returns the records as they are, without taking an epoch. By the time it returns they may be out of date.
func (l *Log) Read(ctx context.Context) ([]Record, error) {
	entries, err := l.store.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read high-availability log %s: %w", l.where, err)
	}
	current, _ := latest(entries)
	return records(current), nil
}

// entry is a record and where its store keeps it.
type entry struct {
	Record
	ref string
}

// store is a way to keep a log.
type store interface {
	// acquire takes a new epoch, seals the older ones, and returns all entries in the order of appending.
	acquire(ctx context.Context) (epochStore, []entry, error)
	// read returns a state that the log had between call and return.
	read(ctx context.Context) ([]entry, error)
}

// epochStore is the end of a store that the holder of an epoch writes to. Its methods are never called concurrently.
type epochStore interface {
	number() uint64
	// append adds a record and returns where it is. It returns ErrFenced if a newer epoch exists. After any other error
	// the record may or may not be there, or may appear until the next call to append returns, and never later.
	append(ctx context.Context, r Record) (ref string, err error)
	// discard removes a superseded record. It may find it removed already.
	discard(ctx context.Context, ref string) error
	// check returns ErrFenced if a newer epoch exists.
	check(ctx context.Context) error
}

type identity struct {
	kind Kind
	key  string
}

func (r Record) identity() identity { return identity{r.Kind, r.Key} }

// latest divides entries into those that count and those superseded by a later one.
func latest(entries []entry) (current []entry, superseded []string) {
	last := make(map[identity]int, len(entries))
	for i, e := range entries {
		last[e.identity()] = i
	}
	for i, e := range entries {
		if last[e.identity()] == i {
			current = append(current, e)
		} else {
			superseded = append(superseded, e.ref)
		}
	}
	return current, superseded
}

func records(entries []entry) []Record {
	rs := make([]Record, len(entries))
	for i, e := range entries {
		rs[i] = e.Record
	}
	return rs
}
