package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weftstream/weft/filesystem"
)

const (
	// fetchAttempts is how often a download is tried.
	fetchAttempts = 3
	// executableMode lets the owner read and execute a fetched file, and nobody write it.
	executableMode = 0o500
	fetchPrefix    = ".fetch-"
	// abandoned is the age at which a half download belongs to nobody any more.
	abandoned = 24 * time.Hour
)

// Opener opens the content of an artifact for reading, from wherever it is. The caller closes the reader. A reader that
// stalls must fail by itself or when ctx ends.
type Opener func(ctx context.Context, a Artifact) (io.ReadCloser, error)

// FromSet opens artifacts by their URI.
func FromSet(set *filesystem.Set) Opener {
	return func(ctx context.Context, a Artifact) (io.ReadCloser, error) {
		fsys, p, err := set.Resolve(a.URI)
		if err != nil {
			return nil, err
		}
		return fsys.Open(ctx, p)
	}
}

// FromHTTP opens artifacts at the URL that location returns, such as the JobManager's.
func FromHTTP(client *http.Client, location func(Artifact) string) Opener {
	return func(ctx context.Context, a Artifact) (io.ReadCloser, error) {
		url := location(a)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, fmt.Errorf("get %s: %s", url, resp.Status)
		}
		return resp.Body, nil
	}
}

// Fetcher brings artifacts into a directory of the node's local disk. It is safe for concurrent use, and several
// processes of one user may share the directory: a lock file keeps all but one from downloading the same artifact.
type Fetcher struct {
	dir  string
	open Opener

	mu      sync.Mutex // guards the fields below
	flights map[Key]*flight
	checked map[Key]bool // found in the directory and hashed by this process
}

// flight is a download that others wait for.
type flight struct {
	done    chan struct{} // closed by the one who downloads
	err     error
	ownFate bool // the error is that of the downloader's context: others try themselves
}

// NewFetcher returns a Fetcher for a directory, which it creates (0700) if need be. It refuses one that somebody else
// owns or can write, and removes half downloads of long ago.
func NewFetcher(dir string, open Opener) (*Fetcher, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make artifact directory: %w", err)
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("make artifact directory: %w", err)
	}
	if !fi.IsDir() || fi.Mode().Perm()&0o022 != 0 || !isOurs(fi) {
		return nil, fmt.Errorf("%w: %s (%s) must be a directory that belongs to this user and that nobody else can write", ErrUntrusted, dir, fi.Mode())
	}
	removeAbandoned(dir)
	return &Fetcher{dir: dir, open: open, flights: map[Key]*flight{}, checked: map[Key]bool{}}, nil
}

func removeAbandoned(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), fetchPrefix) && time.Since(fi.ModTime()) > abandoned {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Fetch returns the path of an executable copy of the artifact, which must not be changed or removed. Concurrent calls
// for one artifact share a download. It fails with ErrChecksum if the content isn't that of the key or of the size.
func (f *Fetcher) Fetch(ctx context.Context, a Artifact) (string, error) {
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		f.mu.Lock()
		if other := f.flights[a.SHA256]; other != nil {
			f.mu.Unlock()
			select {
			case <-other.done:
			case <-ctx.Done():
				return "", ctx.Err()
			}
			if other.err == nil {
				return f.path(a.SHA256), nil
			}
			if other.ownFate {
				continue
			}
			return "", other.err
		}
		mine := &flight{done: make(chan struct{})}
		f.flights[a.SHA256] = mine
		f.mu.Unlock()

		if err := f.fetch(ctx, a); err != nil {
			mine.err = fmt.Errorf("fetch artifact %s from %s: %w", a.SHA256, a.from(), err)
			mine.ownFate = ctx.Err() != nil
		}
		f.mu.Lock()
		delete(f.flights, a.SHA256)
		f.mu.Unlock()
		close(mine.done)
		if mine.err != nil {
			return "", mine.err
		}
		return f.path(a.SHA256), nil
	}
}

func (a Artifact) from() string {
	if a.URI == "" {
		return "the JobManager"
	}
	return a.URI
}

func (f *Fetcher) path(k Key) string { return filepath.Join(f.dir, k.String()) }

func (f *Fetcher) fetch(ctx context.Context, a Artifact) error {
	unlock, err := lockFile(ctx, filepath.Join(f.dir, "."+a.SHA256.String()+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if f.there(a) {
		return nil
	}
	for attempt := 1; ; attempt++ {
		err := f.download(ctx, a)
		if err == nil {
			f.mu.Lock()
			f.checked[a.SHA256] = true
			f.mu.Unlock()
			return nil
		}
		if attempt == fetchAttempts || ctx.Err() != nil || !Retriable(err) {
			return err
		}
	}
}

// Retriable reports whether a download that failed with err may succeed the next time: not if the file is missing or the
// disk is full.
func Retriable(err error) bool {
	for _, final := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, filesystem.ErrUnknownScheme} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// there reports whether an earlier download can be used. Its content is hashed once by each process; a damaged one is
// removed.
func (f *Fetcher) there(a Artifact) bool {
	p := f.path(a.SHA256)
	fi, err := os.Lstat(p)
	if err != nil {
		return false
	}
	f.mu.Lock()
	checked := f.checked[a.SHA256]
	f.mu.Unlock()
	if fi.Mode() == executableMode && isOurs(fi) && fi.Size() == a.Size && (checked || hashes(p, a.SHA256)) {
		f.mu.Lock()
		f.checked[a.SHA256] = true
		f.mu.Unlock()
		return true
	}
	_ = os.RemoveAll(p) // if that fails, so will the rename, with the reason
	return false
}

func hashes(p string, k Key) bool {
	r, err := os.Open(p)
	if err != nil {
		return false
	}
	defer r.Close()
	h := sha256.New()
	_, err = io.Copy(h, r)
	return err == nil && Key(h.Sum(nil)) == k
}

func (f *Fetcher) download(ctx context.Context, a Artifact) (err error) {
	r, err := f.open(ctx, a)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.CreateTemp(f.dir, fetchPrefix) // mode 0600
	if err != nil {
		return err
	}
	temp := w.Name()
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	h := sha256.New()
	// One byte more than the size, to notice a larger file without storing it.
	n, err := copyContext(ctx, io.MultiWriter(w, h), r, a.Size+1)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if n != a.Size {
		return fmt.Errorf("%w: got %d bytes (or more), want %d", ErrChecksum, n, a.Size)
	}
	if got := Key(h.Sum(nil)); got != a.SHA256 {
		return fmt.Errorf("%w: the content's SHA-256 is %s", ErrChecksum, got)
	}
	if err := os.Chmod(temp, executableMode); err != nil {
		return err
	}
	// A child forked while the file was open for writing has it open until its own exec, and for so long executing it
	// fails with ETXTBSY. Forks hold this lock until that exec.
	syscall.ForkLock.Lock()
	syscall.ForkLock.Unlock() //nolint:staticcheck // having held it is all
	return os.Rename(temp, f.path(a.SHA256))
}

// copyContext is io.Copy up to limit bytes, ended by ctx between two reads.
func copyContext(ctx context.Context, w io.Writer, r io.Reader, limit int64) (n int64, err error) {
	buf := make([]byte, copyBuffer)
	for n < limit {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := r.Read(buf[:min(int64(len(buf)), limit-n)])
		n += int64(m)
		if _, werr := w.Write(buf[:m]); werr != nil {
			return n, werr
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
