package rest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/jobmanager"
)

// ErrNoRoom is returned by Store.Put when the disk has no room for the executable.
var ErrNoRoom = errors.New("no room left on the disk")

const (
	uploadPrefix = ".upload-"
	// spareRoom is what a Store leaves free on its disk, which YARN shares with others; it looks every checkEvery bytes.
	spareRoom  = 256 << 20
	checkEvery = 8 << 20
)

// Store keeps executables, and cached files of jobs, in a local directory under their SHA-256. It satisfies Artifacts and jobmanager.Artifacts, and
// is safe for concurrent use. What was put stays until the directory is removed by its owner: a TaskManager that comes
// late still needs the executable.
type Store struct {
	dir  string
	free func(dir string) (int64, error)
}

var (
	_ Artifacts            = (*Store)(nil)
	_ jobmanager.Artifacts = (*Store)(nil)
)

// NewStore opens a Store in dir, which is made if it isn't there. Uploads that a process left unfinished are removed; dir
// must belong to one Store at a time.
func NewStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of uploaded executables: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read directory of uploaded executables: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), uploadPrefix) {
			os.Remove(filepath.Join(dir, e.Name())) // only room is lost if it stays
		}
	}
	return &Store{dir: dir, free: freeSpace}, nil
}

func (s *Store) path(key artifact.Key) string { return filepath.Join(s.dir, key.String()) }

// Open opens what was uploaded by its SHA-256; fs.ErrNotExist if it was never put.
func (s *Store) Open(_ context.Context, sha256 []byte) (io.ReadCloser, error) {
	var key artifact.Key
	if copy(key[:], sha256) != len(key) || len(sha256) != len(key) {
		return nil, fmt.Errorf("open uploaded file: its SHA-256 has %d bytes, want %d", len(sha256), len(key))
	}
	f, err := os.Open(s.path(key))
	if err != nil {
		return nil, fmt.Errorf("open uploaded file: %w", err)
	}
	return f, nil
}

// Size implements Artifacts.
func (s *Store) Size(_ context.Context, key artifact.Key) (int64, bool, error) {
	info, err := os.Stat(s.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return info.Size(), true, nil
}

// Put implements Artifacts. Several may put the same executable at once: the last one wins, with the same content.
func (s *Store) Put(ctx context.Context, key artifact.Key, r io.Reader) (size int64, err error) {
	f, err := os.CreateTemp(s.dir, uploadPrefix)
	if err != nil {
		return 0, err
	}
	defer func() {
		f.Close() // closed before on success
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	sum := sha256.New()
	if size, err = s.copy(ctx, io.MultiWriter(f, sum), r); err != nil {
		return 0, err
	}
	if got := artifact.Key(sum.Sum(nil)); got != key {
		return 0, fmt.Errorf("%w: the %d bytes received have the SHA-256 %s, not %s", artifact.ErrChecksum, size, got, key)
	}
	if err := f.Close(); err != nil {
		return 0, noRoom(err)
	}
	return size, os.Rename(f.Name(), s.path(key))
}

func (s *Store) copy(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	size := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return size, err
		}
		if free, err := s.free(s.dir); err == nil && free < spareRoom {
			return size, fmt.Errorf("%w: %d MiB are free, %d MiB are kept so", ErrNoRoom, free>>20, spareRoom>>20)
		}
		n, err := io.CopyN(w, r, checkEvery)
		size += n
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, noRoom(err)
		}
	}
}

func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return err
}
