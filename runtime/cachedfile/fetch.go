package cachedfile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/rpc"
)

const (
	// Copies belong to this user, and so do the task hosts. Directories can be written, or their owner couldn't remove them.
	dirMode        = 0o700
	fileMode       = 0o400
	executableMode = 0o500

	fetchPrefix = ".fetch-"
	// attempts is how often a file is tried, and parallel how many files are fetched at once.
	attempts = 3
	parallel = 4
)

// Source is where a TaskManager fetches from.
type Source struct {
	// Files are its file systems; nil knows file: alone.
	Files *filesystem.Set
	// JobManager streams what the JobManager serves by its hash; it may be nil where there is nothing of that kind.
	JobManager rpc.Artifacts
}

// Fetch makes local copies of a job's files below dir, which belongs to the job and is made if need be, and returns their
// absolute paths by name. Copies that are there from an earlier call are used. When it fails, or ctx ends, there is nothing
// in dir but whole copies.
func (s Source) Fetch(ctx context.Context, dir string, files []*graph.CachedFile) (map[string]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = errors.Join(Validate(files), os.MkdirAll(dir, dirMode))
	}
	if err != nil {
		return nil, fmt.Errorf("make room for the job's cached files: %w", err)
	}
	var mu sync.Mutex // guards paths
	paths := make(map[string]string, len(files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, f := range files {
		g.Go(func() error {
			// The list is the same in all attempts of the job.
			p, err := s.provide(gctx, filepath.Join(dir, strconv.Itoa(i)), f)
			if err != nil {
				return fmt.Errorf("fetch %s from %s: %w", describe(f), s.from(f), err)
			}
			mu.Lock()
			defer mu.Unlock()
			paths[f.GetName()] = p
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return paths, nil
}

// from names where a file comes from.
func (s Source) from(f *graph.CachedFile) string {
	switch at, source := f.GetUri(), f.GetSource(); {
	case at == "":
		return fmt.Sprintf("the JobManager, where the client uploaded %s", source)
	case len(f.GetSha256()) > 0 && source != "" && source != at:
		return fmt.Sprintf("%s, where %s was uploaded", at, source)
	default:
		return at
	}
}

// provide makes the copy in a directory of its own, which is renamed when it is complete.
func (s Source) provide(ctx context.Context, place string, f *graph.CachedFile) (string, error) {
	result := filepath.Join(place, f.GetFileName())
	if _, err := os.Lstat(result); err == nil {
		return result, nil
	}
	for attempt := 1; ; attempt++ {
		err := s.attempt(ctx, place, f)
		if err == nil {
			return result, nil
		}
		if attempt == attempts || ctx.Err() != nil || !artifact.Retriable(err) || errors.Is(err, rpc.ErrArtifactNotFound) {
			return "", err
		}
	}
}

func (s Source) attempt(ctx context.Context, place string, f *graph.CachedFile) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(place), fetchPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	target := filepath.Join(temp, f.GetFileName())
	if len(f.GetSha256()) > 0 {
		err = s.uploaded(ctx, target, f)
	} else {
		err = s.original(ctx, target, f)
	}
	if err != nil {
		return err
	}
	letForksPass()
	return os.Rename(temp, place)
}

// uploaded fetches what Stage put somewhere, and checks it.
func (s Source) uploaded(ctx context.Context, target string, f *graph.CachedFile) error {
	in, err := s.open(ctx, f)
	if err != nil {
		return err
	}
	defer in.Close()
	h := sha256.New()
	counted := &counter{r: io.TeeReader(reader{ctx, in}, h)}
	if f.GetDirectory() {
		if err = os.Mkdir(target, dirMode); err == nil {
			err = unpack(counted, target, f.GetExecutable())
		}
	} else {
		err = write(target, counted, f.GetExecutable())
	}
	// A damaged archive may fail to unpack before its hash is known.
	if err != nil {
		return err
	}
	var key artifact.Key
	copy(key[:], f.GetSha256())
	if got := artifact.Key(h.Sum(nil)); got != key || counted.n != f.GetSize() {
		return fmt.Errorf("%w: got %d bytes with the SHA-256 %s, want %d with %s", artifact.ErrChecksum, counted.n, got, f.GetSize(), key)
	}
	return nil
}

func (s Source) open(ctx context.Context, f *graph.CachedFile) (io.ReadCloser, error) {
	if f.GetUri() != "" {
		fsys, p, err := s.files().Resolve(f.GetUri())
		if err != nil {
			return nil, err
		}
		return fsys.Open(ctx, p)
	}
	if s.JobManager == nil {
		return nil, fmt.Errorf("%w: this JobManager serves none", rpc.ErrArtifactNotFound)
	}
	return s.JobManager(ctx, [32]byte(f.GetSha256()))
}

func (s Source) files() *filesystem.Set {
	if s.Files == nil {
		return &filesystem.Set{}
	}
	return s.Files
}

// original copies a file or directory from where it was registered.
func (s Source) original(ctx context.Context, target string, f *graph.CachedFile) error {
	fsys, p, err := s.files().Resolve(f.GetUri())
	if err != nil {
		return err
	}
	info, err := fsys.Stat(ctx, p)
	if err != nil {
		return err
	}
	return copyTree(ctx, fsys, info, target, f.GetExecutable())
}

func copyTree(ctx context.Context, fsys filesystem.FileSystem, from filesystem.Info, target string, executable bool) error {
	if !from.IsDir {
		return copyFile(ctx, fsys, from, target, executable)
	}
	if err := os.Mkdir(target, dirMode); err != nil {
		return err
	}
	entries, err := fsys.List(ctx, from.Path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(ctx, fsys, e, filepath.Join(target, e.Name()), executable); err != nil {
			return err
		}
	}
	return nil
}

// errReplaced is returned for a file that somebody replaced or wrote to while it was copied.
var errReplaced = errors.New("it changed while it was fetched: files have to be complete when the job starts")

func copyFile(ctx context.Context, fsys filesystem.FileSystem, from filesystem.Info, target string, executable bool) error {
	in, err := fsys.Open(ctx, from.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	counted := &counter{r: reader{ctx, in}}
	if err := write(target, counted, executable); err != nil {
		return err
	}
	after, err := fsys.Stat(ctx, from.Path)
	if err != nil {
		return err
	}
	if counted.n != from.Size || after.Size != from.Size || after.MTime != from.MTime {
		return fmt.Errorf("%s: %w", fsys.URI(from.Path), errReplaced)
	}
	return nil
}

// write makes a file that nobody writes to again.
func write(target string, r io.Reader, executable bool) error {
	f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	mode := fs.FileMode(fileMode)
	if executable {
		mode = executableMode
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, copyBufferSize))
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// letForksPass waits for children that were forked while a file was open for writing: until their own exec they have it
// open, too, and for so long executing it would fail with ETXTBSY. Forks hold this lock until that exec.
func letForksPass() {
	syscall.ForkLock.Lock()
	syscall.ForkLock.Unlock() //nolint:staticcheck // having held it is all
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
