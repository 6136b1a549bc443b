package artifact

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/weftstream/weft/filesystem"
)

const (
	cacheDir     = "cache"
	fileName     = "artifact"
	uploadPrefix = ".upload-"
	prunedPrefix = ".pruned-"
	usedPrefix   = "used-"
	usedLayout   = "2006-01-02"

	// uploadAttempts is how often a whole upload is tried.
	uploadAttempts = 4
	copyBuffer     = 1 << 20
)

// CacheConfig says where a Cache is and whom it believes.
type CacheConfig struct {
	// FS and Staging are the staging directory: yarn.staging-directory, else <home>/.weft. Put creates it if need be.
	FS      filesystem.FileSystem
	Staging string
	// TrustedOwners may own files and directories of the cache besides the submitter, who is FS.User().
	TrustedOwners []string
	// Public makes what is uploaded readable to everybody, which YARN's PUBLIC visibility needs; otherwise it is the
	// owner's alone. A file that is there already keeps its mode: look at Stat's answer, not at this.
	Public bool
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Cache is the client's end: files in <staging>/cache/<sha256>/, each in a directory of its own. The directory is
// prepared under another name and renamed, since of all file systems' renames only that of directories is sure to
// refuse an existing target: two clients that upload the same file at once end up with one, and its mtime, which YARN
// insists on, never changes. It is safe for concurrent use, by any number of processes.
type Cache struct {
	cfg CacheConfig
}

// NewCache returns a cache. It reads and writes nothing.
func NewCache(cfg CacheConfig) *Cache {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Staging = path.Clean(cfg.Staging)
	return &Cache{cfg: cfg}
}

func (c *Cache) dir() string            { return path.Join(c.cfg.Staging, cacheDir) }
func (c *Cache) entry(k Key) string     { return path.Join(c.dir(), k.String()) }
func (c *Cache) file(k Key) string      { return path.Join(c.entry(k), fileName) }
func (c *Cache) hidden(p string) string { return path.Join(c.dir(), p+random()) }

// Put makes sure that the cache has the content of a local file, and returns where. uploaded is false if it was there.
// progress, if not nil, is called from the calling goroutine while bytes are uploaded; after a failure it starts again.
//
// The file that is there is used only if nobody but the submitter and the trusted owners can have written it: see
// ErrUntrusted.
func (c *Cache) Put(ctx context.Context, localPath string, progress func(done, total int64)) (a Artifact, uploaded bool, err error) {
	local, err := openLocal(localPath)
	if err != nil {
		return a, false, err
	}
	defer local.Close()
	if err := c.prepare(ctx); err != nil {
		return a, false, fmt.Errorf("prepare artifact cache %s: %w", c.cfg.FS.URI(c.dir()), err)
	}
	for attempt := 1; ; attempt++ {
		a, found, err := c.use(ctx, local)
		if found || err != nil && !filesystem.Transient(err) {
			return a, false, err
		}
		if err == nil {
			if a, uploaded, err = c.upload(ctx, local, progress); err == nil {
				return a, uploaded, nil
			}
		}
		if attempt == uploadAttempts || !filesystem.Transient(err) || ctx.Err() != nil {
			return Artifact{}, false, fmt.Errorf("upload %s to %s: %w", localPath, c.cfg.FS.URI(c.entry(local.key)), err)
		}
	}
}

// prepare makes the directories and refuses those that others can write. They can be entered but not listed by others.
func (c *Cache) prepare(ctx context.Context) error {
	for _, dir := range []string{c.cfg.Staging, c.dir()} {
		if err := c.cfg.FS.MkdirAll(ctx, dir, 0o711); err != nil {
			return err
		}
		i, err := c.cfg.FS.Stat(ctx, dir)
		if err != nil {
			return err
		}
		if err := c.trust(i); err != nil {
			return fmt.Errorf("%w; remedy: chmod go-w, or another yarn.staging-directory", err)
		}
	}
	return nil
}

// trust returns an ErrUntrusted if somebody else may have changed a file or directory.
func (c *Cache) trust(i filesystem.Info) error {
	if i.Owner != c.cfg.FS.User() && !slices.Contains(c.cfg.TrustedOwners, i.Owner) {
		return fmt.Errorf("%w: %s belongs to %s, neither to %s nor to a trusted owner", ErrUntrusted, i.Path, i.Owner, c.cfg.FS.User())
	}
	if i.Mode.Perm()&0o022 != 0 {
		return fmt.Errorf("%w: %s can be written by others than its owner %s (mode %04o)", ErrUntrusted, i.Path, i.Owner, i.Mode.Perm())
	}
	return nil
}

// use returns the artifact if it is there and can be trusted, and records the use. An entry that can't be trusted is
// moved out of the way: that it is there, in a directory only trusted owners can write, is history.
func (c *Cache) use(ctx context.Context, local *localFile) (Artifact, bool, error) {
	a, err := c.look(ctx, local)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Artifact{}, false, nil
	case errors.Is(err, ErrUntrusted):
		aside := c.hidden(prunedPrefix)
		if rerr := c.cfg.FS.Rename(ctx, c.entry(local.key), aside, false); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return Artifact{}, false, fmt.Errorf("%w; and it can't be moved away: %w", err, rerr)
		}
		c.removeQuietly(ctx, aside)
		return Artifact{}, false, nil
	case err != nil:
		return Artifact{}, false, fmt.Errorf("look for %s: %w", c.cfg.FS.URI(c.file(local.key)), err)
	}
	if err := c.record(ctx, local.key); errors.Is(err, fs.ErrNotExist) {
		return Artifact{}, false, nil // pruned at this moment
	}
	// Whatever else kept the use from being recorded (the entry may be another's) only makes it old sooner.
	again, err := c.look(ctx, local)
	if errors.Is(err, fs.ErrNotExist) {
		return Artifact{}, false, nil
	}
	if err == nil && again != a {
		return Artifact{}, false, filesystem.WithKind(filesystem.ErrUnknownOutcome, errors.New("the file was replaced meanwhile"))
	}
	return again, err == nil, err
}

// look describes the entry of a key, or says why it isn't to be used.
func (c *Cache) look(ctx context.Context, local *localFile) (Artifact, error) {
	dir, err := c.cfg.FS.Stat(ctx, c.entry(local.key))
	if err != nil {
		return Artifact{}, err
	}
	if err := c.trust(dir); err != nil {
		return Artifact{}, err
	}
	i, err := c.cfg.FS.Stat(ctx, c.file(local.key))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && dir.IsDir {
			if still, serr := filesystem.Exists(ctx, c.cfg.FS, c.entry(local.key)); serr == nil && still {
				return Artifact{}, fmt.Errorf("%w: %s has no file", ErrUntrusted, dir.Path)
			}
		}
		return Artifact{}, err
	}
	if err := c.trust(i); err != nil {
		return Artifact{}, err
	}
	if i.IsDir || i.Size != local.size {
		return Artifact{}, fmt.Errorf("%w: %s has %d bytes, its content has %d", ErrUntrusted, i.Path, i.Size, local.size)
	}
	return Artifact{URI: c.cfg.FS.URI(i.Path), SHA256: local.key, Size: i.Size, MTime: i.MTime}, nil
}

// upload writes the file into a directory that is hidden, and renames that.
func (c *Cache) upload(ctx context.Context, local *localFile, progress func(done, total int64)) (Artifact, bool, error) {
	dirMode, fileMode := fs.FileMode(0o700), fs.FileMode(0o400)
	if c.cfg.Public {
		dirMode, fileMode = 0o755, 0o444
	}
	temp := c.hidden(uploadPrefix)
	defer c.removeQuietly(ctx, temp) // what is left after success is nothing
	if err := c.cfg.FS.MkdirAll(ctx, temp, dirMode); err != nil {
		return Artifact{}, false, err
	}
	w, err := c.cfg.FS.Create(ctx, path.Join(temp, fileName), filesystem.CreateOptions{Mode: fileMode})
	if err != nil {
		return Artifact{}, false, err
	}
	if err := local.copyTo(ctx, w, progress); err != nil {
		_ = w.Abort()
		return Artifact{}, false, err
	}
	if err := w.Close(); err != nil {
		return Artifact{}, false, err
	}
	rerr := c.cfg.FS.Rename(ctx, temp, c.entry(local.key), false)
	// Another client may have been faster (then its file is the one), or the answer lost: what is there now counts.
	a, found, err := c.use(ctx, local)
	switch {
	case found:
		return a, rerr == nil, nil
	case rerr != nil && !errors.Is(rerr, fs.ErrExist):
		return Artifact{}, false, rerr
	case err != nil:
		return Artifact{}, false, err
	}
	return Artifact{}, false, filesystem.WithKind(filesystem.ErrUnknownOutcome, errors.New("the uploaded file has vanished"))
}

// record leaves a mark of today. It never touches the file, whose mtime YARN compares.
func (c *Cache) record(ctx context.Context, k Key) error {
	mark := path.Join(c.entry(k), usedPrefix+c.cfg.Now().UTC().Format(usedLayout))
	w, err := c.cfg.FS.Create(ctx, mark, filesystem.CreateOptions{Mode: 0o600})
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.Close()
}

func (c *Cache) removeQuietly(ctx context.Context, p string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = c.cfg.FS.Remove(ctx, p, true)
}

func random() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// localFile is a file about to be uploaded, with what was true of it when it was hashed.
type localFile struct {
	*os.File
	key   Key
	size  int64
	mtime time.Time
}

func openLocal(p string) (*localFile, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", p)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	l := &localFile{File: f, size: fi.Size(), mtime: fi.ModTime()}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err == nil && n != l.size {
		err = ErrChanged
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("hash %s: %w", p, err)
	}
	h.Sum(l.key[:0])
	return l, nil
}

// copyTo writes the content to w, and fails if it isn't what was hashed.
func (l *localFile) copyTo(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	h := sha256.New()
	buf := make([]byte, copyBuffer)
	for off := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := l.ReadAt(buf, off)
		if n > 0 {
			h.Write(buf[:n])
			if _, werr := w.Write(buf[:n]); werr != nil {
				return werr
			}
			off += int64(n)
			if progress != nil {
				progress(off, l.size)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if Key(h.Sum(nil)) != l.key {
		return fmt.Errorf("%s: %w: start it again when the build is done", l.Name(), ErrChanged)
	}
	return nil
}
