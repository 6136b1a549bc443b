package file

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/stream"
)

// FileSink writes records to part files in a directory, exactly once: part-<subtask>-<attempt>-<n>. Parts are hidden
// (.part-….inprogress) until the checkpoint that covers their records is complete, or the job has ended well; then they
// get their names. Records that were written after the last complete checkpoint of a job that failed are never seen.
// A part is never overwritten: one whose name is taken gets a longer one.
//
// The directory must be empty, or not be there, or hold output of this very job, which was started again; the job fails
// before it writes anything otherwise. Append lifts that. A hidden file (.weft-output-…) names the job. A relative local
// path begins at the working directory of the process that writes. On a cluster the directory is one that all
// TaskManagers share, hdfs: for instance. Sinks of a job that share one need names of their own (Stream.Name).
//
// The methods that return a FileSink change it and return it; they are for the building of a job only.
type FileSink[T any] struct {
	dir            string
	format         format[T]
	prefix, suffix string
	bucket         func(T) string // nil: all in dir
	roll           rolling
	appends        bool

	mu    sync.Mutex     // guards swept
	swept map[string]run // by job: the last run after whose first commit leftovers were removed
}

// format opens the encoder of one part; check says what is wrong with the type, before anything is written.
type format[T any] struct {
	name  string
	check func() error
	open  func(w *bufio.Writer) (encode func(v *T) error, err error)
}

// rolling says when a part ends before the next checkpoint; zero is never.
type rolling struct {
	size       int64
	interval   time.Duration
	inactivity time.Duration
}

func newSink[T any](dir string, f format[T]) *FileSink[T] {
	return &FileSink[T]{dir: dir, format: f, prefix: "part", swept: map[string]run{}}
}

// RollSize ends a part that has reached a size in bytes. Without any Roll method a part ends with the checkpoint only.
func (s *FileSink[T]) RollSize(bytes int64) *FileSink[T] { s.roll.size = bytes; return s }

// RollInterval ends a part that has been open for so long. Time is looked at when records come: without any, the next
// checkpoint ends the part.
func (s *FileSink[T]) RollInterval(d time.Duration) *FileSink[T] { s.roll.interval = d; return s }

// RollInactivity ends a part to which nothing was written for so long, see RollInterval.
func (s *FileSink[T]) RollInactivity(d time.Duration) *FileSink[T] { s.roll.inactivity = d; return s }

// RollDefault ends parts as Flink's default rolling policy does: after 128 MiB, 60 s, or 60 s without a record.
func (s *FileSink[T]) RollDefault() *FileSink[T] {
	s.roll = rolling{size: 128 << 20, interval: time.Minute, inactivity: time.Minute}
	return s
}

// Bucket puts each record into the sub-directory that f returns for it, "2026/11/21" for instance; "" is the directory
// itself. A name that leads out of the directory, is absolute or hidden fails the job. A subtask has at most 128 parts
// open; the one opened first is ended when there are more.
func (s *FileSink[T]) Bucket(f func(T) string) *FileSink[T] { s.bucket = f; return s }

// PartPrefix is the beginning of the names of parts; "part" at first.
func (s *FileSink[T]) PartPrefix(p string) *FileSink[T] { s.prefix = p; return s }

// PartSuffix is the end of the names of parts, ".csv" for instance; nothing at first.
func (s *FileSink[T]) PartSuffix(p string) *FileSink[T] { s.suffix = p; return s }

// Append lets the job write into a directory that has content already: beside the output of an earlier job, or going on
// with that of the job whose savepoint it starts from.
func (s *FileSink[T]) Append() *FileSink[T] { s.appends = true; return s }

// String is the name shown to people.
func (s *FileSink[T]) String() string { return s.format.name }

// what begins an error.
func (s *FileSink[T]) what() string {
	return fmt.Sprintf("write %s to %s", strings.ToLower(s.format.name), s.dir)
}

func (s *FileSink[T]) validate() error {
	switch {
	case s.prefix == "" || strings.ContainsAny(s.prefix, "/\x00") || hidden(s.prefix):
		return fmt.Errorf("%s: part prefix %q: it must not be empty, hidden (. or _) or have a /", s.what(), s.prefix)
	case strings.ContainsAny(s.suffix, "/\x00") || strings.HasSuffix(s.suffix, hiddenSuffix):
		return fmt.Errorf("%s: part suffix %q: it must not have a / or end in %s", s.what(), s.suffix, hiddenSuffix)
	case s.roll.size < 0 || s.roll.interval < 0 || s.roll.inactivity < 0:
		return fmt.Errorf("%s: parts roll after %d bytes, %v, %v without a record: none may be negative", s.what(), s.roll.size, s.roll.interval, s.roll.inactivity)
	}
	if err := s.format.check(); err != nil {
		return fmt.Errorf("%s: %w", s.what(), err)
	}
	return nil
}

// part is a committable: a finished hidden file and the name it gets, both below the directory.
type part struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Spare string `json:"spare"` // instead of To where that is taken; nobody else's
	Job   string `json:"job"`
	run
	// Again says that it was handed out before and was there still: if it is nowhere now, it was committed meanwhile, and
	// whoever reads the directory took it away.
	Again bool `json:"again,omitempty"`
}

// Prepare refuses a directory with content that isn't this job's and makes one that is missing. It removes nothing: hidden
// parts may belong to the checkpoint that the job starts from and that was not committed to its end. Leftovers go when a
// part of the present attempt is committed, which is after those.
func (s *FileSink[T]) Prepare(rt *stream.Runtime) error {
	if err := s.validate(); err != nil {
		return err
	}
	ctx := rt.Context()
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", s.what(), err)
	}
	info, err := fsys.Stat(ctx, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := fsys.MkdirAll(ctx, dir, 0o755); err != nil {
			return fmt.Errorf("%s: make the directory: %w", s.what(), err)
		}
	case err != nil:
		return fmt.Errorf("%s: %w", s.what(), err)
	case !info.IsDir:
		return fmt.Errorf("%s: it is a file, and output goes to a directory: %w", s.what(), fs.ErrExist)
	}
	owner := path.Join(dir, marker+rt.Job())
	ours, err := filesystem.Exists(ctx, fsys, owner)
	if err != nil {
		return fmt.Errorf("%s: %w", s.what(), err)
	}
	if ours {
		return nil
	}
	if !s.appends && !rt.Restored() { // a savepoint's job goes on where another one has written
		if err := s.refuseContent(ctx, fsys, dir); err != nil {
			return err
		}
	}
	// Empty, so it is complete as soon as it is there, and a crash leaves no temporary file that looks like content.
	f, err := fsys.Create(ctx, owner, filesystem.CreateOptions{Overwrite: true})
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("%s: name the job in the directory: %w", s.what(), err)
	}
	return nil
}

func (s *FileSink[T]) refuseContent(ctx context.Context, fsys filesystem.FileSystem, dir string) error {
	return walk(ctx, fsys, dir, func(e filesystem.Info) error {
		if _, ok := parseHidden(e.Name()); ok || strings.HasPrefix(e.Name(), marker) {
			return nil
		}
		return stream.Permanent(fmt.Errorf("%s: the directory already has content (%s); nothing is overwritten: remove it, choose another, or let the sink Append: %w",
			s.what(), strings.TrimPrefix(e.Path, dir+"/"), fs.ErrExist))
	})
}

// walk calls visit for every file below dir. What vanishes meanwhile is left out.
func walk(ctx context.Context, fsys filesystem.FileSystem, dir string, visit func(filesystem.Info) error) error {
	entries, err := fsys.List(ctx, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !e.IsDir {
			err = visit(e)
		} else {
			err = walk(ctx, fsys, e.Path, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Commit renames. A part that was renamed already is left alone, so it may be called again.
func (s *FileSink[T]) Commit(rt *stream.Runtime, committables [][]byte) error {
	ctx := rt.Context()
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return fmt.Errorf("commit: %s: %w", s.what(), err)
	}
	latest, any := run{}, false
	for _, b := range committables {
		var p part
		if err := json.Unmarshal(b, &p); err != nil {
			return fmt.Errorf("commit: %s: committable of %d bytes: %w", s.what(), len(b), err)
		}
		if !inside(p.From) || !inside(p.To) || !inside(p.Spare) {
			return fmt.Errorf("commit: %s: committable of %q as %q: it leads out of the directory", s.what(), p.From, p.To)
		}
		err := publish(ctx, fsys, path.Join(dir, p.From), path.Join(dir, p.To), path.Join(dir, p.Spare))
		if err != nil && !(p.Again && errors.Is(err, errLost)) {
			return fmt.Errorf("commit: %s: %w", s.what(), err)
		}
		if p.Job == rt.Job() {
			any = true
			if latest.before(p.run) {
				latest = p.run
			}
		}
	}
	if any && s.shouldSweep(rt.Job(), latest) {
		if err := s.sweep(rt, fsys, dir, latest); err != nil {
			rt.Log().Warn("leftover parts of earlier attempts stay for now", "directory", s.dir, "error", err)
		}
	}
	return nil
}

// Release removes what is hidden of this sink, which nobody will commit, and the file that names the job.
func (s *FileSink[T]) Release(rt *stream.Runtime) error {
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", s.what(), err)
	}
	if err := s.sweep(rt, fsys, dir, run{rt.Epoch(), math.MaxInt}); err != nil {
		return fmt.Errorf("%s: remove what is left of earlier attempts: %w", s.what(), err)
	}
	err = fsys.Remove(rt.Context(), path.Join(dir, marker+rt.Job()), false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: take the job's name off the directory: %w", s.what(), err)
	}
	return nil
}

// errLost is returned for a part that is neither hidden nor under one of its names.
var errLost = errors.New("the part is gone")

// publish gives from the name to, or spare where another part has it. A part that has its name already is no error.
func publish(ctx context.Context, fsys filesystem.FileSystem, from, to, spare string) error {
	for _, name := range []string{to, spare} {
		err := fsys.Rename(ctx, from, name, false)
		if err == nil {
			return nil
		}
		there, statErr := filesystem.Exists(ctx, fsys, from)
		switch {
		case statErr != nil:
			return errors.Join(err, statErr)
		case !there:
			return published(ctx, fsys, err, spare, to)
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return fmt.Errorf("rename %s: its names are taken: %w", fsys.URI(from), fs.ErrExist)
}

// published says whether a part that isn't hidden any more has one of its names; cause is what renaming it said.
func published(ctx context.Context, fsys filesystem.FileSystem, cause error, names ...string) error {
	for _, name := range names {
		done, err := filesystem.Exists(ctx, fsys, name)
		if err != nil {
			return errors.Join(cause, err)
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("%w: %w", errLost, cause)
}

// shouldSweep says so once per run.
func (s *FileSink[T]) shouldSweep(job string, r run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.swept[job]
	if ok && !last.before(r) {
		return false
	}
	s.swept[job] = r
	return true
}

// sweep removes hidden parts that nobody will commit: a part of this run was committed, so what the checkpoint before it had
// to commit is committed, and what runs before it wrote beyond that will not be. In a directory that is this job's alone
// those of other jobs go, too. The next run and Release come here again. Under a JobManager that has lost the lead this may
// be late: the parts of a newer one stay, and those of other jobs once the directory isn't this job's any more.
func (s *FileSink[T]) sweep(rt *stream.Runtime, fsys filesystem.FileSystem, dir string, r run) error {
	ctx, id := rt.Context(), sinkID(rt.Operator(), s.dir)
	alone := false
	if !s.appends {
		var err error
		if alone, err = filesystem.Exists(ctx, fsys, path.Join(dir, marker+rt.Job())); err != nil {
			return err
		}
	}
	return walk(ctx, fsys, dir, func(e filesystem.Info) error {
		o, ok := parseHidden(e.Name())
		ok = ok && o.sink == id
		owner, isMarker := strings.CutPrefix(e.Name(), marker)
		switch {
		case ok && o.job == rt.Job() && o.run.before(r):
		case ok && o.job != rt.Job() && alone:
		case isMarker && owner != rt.Job() && alone:
		default:
			return nil
		}
		if err := fsys.Remove(ctx, e.Path, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
