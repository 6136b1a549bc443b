package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/weftstream/weft/filesystem"
)

// LocalCopies are the copies that a task host keeps of the state files that it writes, on its TaskManager's disk: a subtask
// that starts again there reads them instead of the files. They are only for that. A copy that is missing, damaged or
// can't be written costs a line in the log.
//
//	<dir>/chk-<id>/<name of the file>    the content, and the XXH64 of it and of the file's URI (8 bytes, big-endian)
//
// The directory is the job's on this TaskManager, which removes it when nothing of the job is left there; it outlives the
// task host, so that the next one finds the copies. Safe for concurrent use; a nil *LocalCopies keeps nothing.
type LocalCopies struct {
	dir   string
	log   *slog.Logger
	mu    sync.Mutex                // held while copies are removed
	needs map[int64]map[string]bool // by checkpoint: names of files of earlier ones that it needs, too; guarded by mu
	base  int64                     // the newest of them that is complete; guarded by mu
}

// NewLocalCopies keeps copies below dir, which is made when it is needed.
func NewLocalCopies(dir string, log *slog.Logger) *LocalCopies {
	return &LocalCopies{dir: dir, log: log}
}

// LocalCopy is a copy that is being written, by one goroutine. Its methods do nothing after one has failed, or on nil.
type LocalCopy struct {
	l    *LocalCopies
	f    *os.File
	hash *xxhash.Digest
}

// Create begins the copy of a file of a checkpoint; nil if it can't.
func (l *LocalCopies) Create(id int64, uri string) *LocalCopy {
	if l == nil {
		return nil
	}
	dir := filepath.Join(l.dir, checkpointPrefix+strconv.FormatInt(id, 10))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		l.log.Warn("no local copy of state", "file", uri, "error", err)
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, path.Base(uri)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		l.log.Warn("no local copy of state", "file", uri, "error", err)
		return nil
	}
	return &LocalCopy{l, f, xxhash.New()}
}

// Write appends what is appended to the file.
func (c *LocalCopy) Write(b []byte) {
	if c == nil || c.f == nil {
		return
	}
	_, _ = c.hash.Write(b) // never fails
	if _, err := c.f.Write(b); err != nil {
		c.failed(err)
	}
}

// Finish completes the copy of the file at uri. It isn't synced to the disk: it needs to survive its process only.
func (c *LocalCopy) Finish(uri string) {
	if c == nil || c.f == nil {
		return
	}
	_, _ = c.hash.WriteString(uri)
	_, err := c.f.Write(binary.BigEndian.AppendUint64(nil, c.hash.Sum64()))
	if err == nil {
		err = c.f.Close()
	}
	if err != nil {
		c.failed(err)
	}
	c.f = nil
}

// Abort removes the copy of a file that isn't needed.
func (c *LocalCopy) Abort() {
	if c == nil || c.f == nil {
		return
	}
	_ = c.f.Close()
	_ = os.Remove(c.f.Name()) // else it goes with its checkpoint
	c.f = nil
}

func (c *LocalCopy) failed(err error) {
	c.l.log.Warn("no local copy of state", "error", err)
	c.Abort()
}

// Open opens the copy of the file at uri, whole and checked. An error says why there is none to be read.
func (l *LocalCopies) Open(uri string) (filesystem.File, error) {
	found, err := filepath.Glob(filepath.Join(l.dir, checkpointPrefix+"*", path.Base(uri)))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("local copy in %s: %w", l.dir, fs.ErrNotExist)
	}
	f, err := os.Open(found[0])
	if err != nil {
		return nil, err
	}
	size, err := checkCopy(f, uri)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("local copy %s: %w", found[0], err), f.Close())
	}
	return &localFile{io.NewSectionReader(f, 0, size), f}, nil
}

var errDamagedCopy = errors.New("it is damaged, or of another file: its checksum is wrong")

// checkCopy reads a copy and returns the length of what is copied.
func checkCopy(f *os.File, uri string) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size() - 8
	if size < 0 {
		return 0, errDamagedCopy
	}
	hash, r := xxhash.New(), bufio.NewReaderSize(f, 1<<20)
	if _, err := io.CopyN(hash, r, size); err != nil {
		return 0, err
	}
	_, _ = hash.WriteString(uri)
	var sum [8]byte
	if _, err := io.ReadFull(r, sum[:]); err != nil {
		return 0, err
	}
	if binary.BigEndian.Uint64(sum[:]) != hash.Sum64() {
		return 0, errDamagedCopy
	}
	return size, nil
}

// localFile is a copy without its checksum.
type localFile struct {
	*io.SectionReader
	f *os.File
}

func (l *localFile) Close() error { return l.f.Close() }

// Needs says that a subtask's state in checkpoint id is in these files. Those that were written for earlier checkpoints are
// kept until one is complete that doesn't need them.
func (l *LocalCopies) Needs(id int64, uris []string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.needs == nil {
		l.needs = map[int64]map[string]bool{}
	}
	if l.needs[id] == nil {
		l.needs[id] = map[string]bool{}
	}
	for _, uri := range uris {
		l.needs[id][path.Base(uri)] = true
	}
}

// Completed removes the copies of the checkpoints before id, which is complete. Those stay that it needs, or a later one: behind a
// savepoint, which needs none, the next checkpoint builds on the last one.
func (l *LocalCopies) Completed(id int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.needs[id] != nil {
		l.base = max(l.base, id)
	}
	keep := map[string]bool{}
	for n, names := range l.needs {
		if n < l.base {
			delete(l.needs, n)
			continue
		}
		maps.Copy(keep, names)
	}
	l.remove(func(n int64) bool { return n < id }, keep)
}

// Aborted removes the copies of checkpoint id. What is still being written of it goes with a later checkpoint.
func (l *LocalCopies) Aborted(id int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.needs, id)
	l.remove(func(n int64) bool { return n == id }, nil)
}

// remove removes the copies of checkpoints, but for those of these names.
func (l *LocalCopies) remove(which func(id int64) bool, keep map[string]bool) {
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, e := range entries {
		number, isCopies := strings.CutPrefix(e.Name(), checkpointPrefix)
		id, perr := strconv.ParseInt(number, 10, 64)
		if isCopies && perr == nil && which(id) {
			err = errors.Join(err, removeBut(filepath.Join(l.dir, e.Name()), keep))
		}
	}
	if err != nil {
		l.log.Warn("local copies of state left behind", "error", err)
	}
}

// removeBut removes a directory of copies, or those in it that aren't of these names.
func removeBut(dir string, keep map[string]bool) error {
	if len(keep) == 0 {
		return os.RemoveAll(dir)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	left := 0
	for _, f := range files {
		if keep[f.Name()] {
			left++
			continue
		}
		err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
	}
	if left > 0 || err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
