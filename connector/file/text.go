package file

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/stream"
)

// Text writes each record and a \n to part files in a directory: part-<subtask>-<n>. The directory must be empty, or not
// be there; the job fails before it writes anything otherwise. Parts appear when the job has ended well, all together;
// until then they are hidden (.part-…inprogress), and a job that fails or is cancelled shows none.
//
// A relative local path begins at the working directory of the process that writes. On a cluster the directory is one
// that all TaskManagers share, hdfs: for instance.
func Text(dir string) stream.Sink[string] { return sink{dir} }

const (
	partPrefix   = "part-"
	hiddenSuffix = ".inprogress"
)

type sink struct{ dir string }

func (sink) String() string { return "Text" }

// part is a committable: a finished hidden file and the name it gets.
type part struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Prepare refuses a directory with content and makes one that is missing. Hidden parts of earlier jobs go: those jobs
// have ended without being committed. A hidden marker names the job that the directory was given to: when the job's
// coordinator starts again after some parts were committed, they are its own.
func (s sink) Prepare(rt *stream.Runtime) error {
	ctx := rt.Context()
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return fmt.Errorf("write text to %q: %w", s.dir, err)
	}
	info, err := fsys.Stat(ctx, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := fsys.MkdirAll(ctx, dir, 0o755); err != nil {
			return fmt.Errorf("write text to %s: make the directory: %w", s.dir, err)
		}
	case err != nil:
		return fmt.Errorf("write text to %s: %w", s.dir, err)
	case !info.IsDir:
		return fmt.Errorf("write text to %s: it is a file, and output goes to a directory: %w", s.dir, fs.ErrExist)
	}
	entries, err := fsys.List(ctx, dir)
	if err != nil {
		return fmt.Errorf("write text to %s: %w", s.dir, err)
	}
	if slices.ContainsFunc(entries, func(e filesystem.Info) bool { return e.Name() == marker(rt) }) {
		return nil
	}
	for _, e := range entries {
		if !isHiddenPart(e.Name()) {
			return fmt.Errorf("write text to %s: the directory already has content (%s); nothing is overwritten: remove it or choose another: %w",
				s.dir, e.Name(), fs.ErrExist)
		}
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), rt.Job()) {
			continue
		}
		if err := fsys.Remove(ctx, e.Path, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("write text to %s: remove a part that was never committed: %w", s.dir, err)
		}
	}
	if err := filesystem.WriteFile(ctx, fsys, path.Join(dir, marker(rt)), nil, filesystem.CreateOptions{Overwrite: true}); err != nil {
		return fmt.Errorf("write text to %s: %w", s.dir, err)
	}
	return nil
}

func isHiddenPart(name string) bool {
	return strings.HasPrefix(name, "."+partPrefix) && strings.HasSuffix(name, hiddenSuffix)
}

// marker is the name of the file that gives a directory to a job.
func marker(rt *stream.Runtime) string {
	return "." + partPrefix + "owner-" + rt.Job() + hiddenSuffix
}

// Release removes the marker.
func (s sink) Release(rt *stream.Runtime) error {
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return fmt.Errorf("write text to %q: %w", s.dir, err)
	}
	err = fsys.Remove(context.WithoutCancel(rt.Context()), path.Join(dir, marker(rt)), false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write text to %s: %w", s.dir, err)
	}
	return nil
}

// Commit renames. A part that was renamed already is left alone, so it may be called again.
func (s sink) Commit(rt *stream.Runtime, committables [][]byte) error {
	ctx := rt.Context()
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return fmt.Errorf("commit text to %q: %w", s.dir, err)
	}
	for _, b := range committables {
		var p part
		if err := json.Unmarshal(b, &p); err != nil {
			return fmt.Errorf("commit text to %s: committable of %d bytes: %w", s.dir, len(b), err)
		}
		if err := publish(ctx, fsys, path.Join(dir, p.From), path.Join(dir, p.To)); err != nil {
			return fmt.Errorf("commit text to %s: %w", s.dir, err)
		}
	}
	return nil
}

func publish(ctx context.Context, fsys filesystem.FileSystem, from, to string) error {
	err := fsys.Rename(ctx, from, to, false)
	if err == nil {
		return nil
	}
	there, statErr := filesystem.Exists(ctx, fsys, from)
	if statErr != nil {
		return errors.Join(err, statErr)
	}
	if there {
		return err
	}
	if done, statErr := filesystem.Exists(ctx, fsys, to); statErr == nil && done {
		return nil
	}
	return err
}

// Open makes a writer, which makes its file when the first record comes.
func (s sink) Open(rt *stream.Runtime) (stream.SinkWriter[string], error) {
	fsys, dir, err := rt.Files().Resolve(s.dir)
	if err != nil {
		return nil, fmt.Errorf("write text to %q: %w", s.dir, err)
	}
	return &writer{rt: rt, fsys: fsys, dir: dir}, nil
}

type writer struct {
	rt    *stream.Runtime
	fsys  filesystem.FileSystem
	dir   string
	parts int
	open  part
	f     filesystem.Writer // nil when no part is open
	buf   *bufio.Writer
}

func (w *writer) Write(v *string, _ stream.Time) error {
	if w.f == nil {
		if err := w.create(); err != nil {
			return err
		}
	}
	if _, err := w.buf.WriteString(*v); err != nil {
		return w.failed(err)
	}
	if err := w.buf.WriteByte('\n'); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *writer) failed(err error) error {
	return fmt.Errorf("write text to %s: %w", w.fsys.URI(path.Join(w.dir, w.open.From)), err)
}

func (w *writer) create() error {
	name := fmt.Sprintf("%s%d-%d", partPrefix, w.rt.Subtask, w.parts)
	w.open = part{From: fmt.Sprintf(".%s-%s-%d%s", name, w.rt.Job(), w.rt.Attempt(), hiddenSuffix), To: name}
	if err := w.fsys.MkdirAll(w.rt.Context(), w.dir, 0o755); err != nil {
		return w.failed(err)
	}
	f, err := w.fsys.Create(w.rt.Context(), path.Join(w.dir, w.open.From), filesystem.CreateOptions{Overwrite: true})
	if err != nil {
		return w.failed(err)
	}
	w.f, w.buf = f, bufio.NewWriterSize(f, 256<<10)
	return nil
}

// Flush finishes the part.
func (w *writer) Flush() ([][]byte, error) {
	if w.f == nil {
		return nil, nil
	}
	if err := w.buf.Flush(); err != nil {
		return nil, w.failed(err)
	}
	if err := w.f.Close(); err != nil {
		return nil, w.failed(err)
	}
	w.f, w.buf = nil, nil
	w.parts++
	b, err := json.Marshal(w.open)
	if err != nil {
		return nil, w.failed(err)
	}
	return [][]byte{b}, nil
}

// Close removes a part that was not flushed. The subtask's context may have ended, so removing gets one of its own.
func (w *writer) Close() error {
	if w.f == nil {
		return nil
	}
	err := w.f.Abort()
	w.f = nil
	ctx := context.WithoutCancel(w.rt.Context())
	if e := w.fsys.Remove(ctx, path.Join(w.dir, w.open.From), false); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}
