package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	hdfs "github.com/colinmarc/hdfs/v2"

	"github.com/weftstream/weft/filesystem"
)

const (
	// firstBlockWindow bounds how long the first block of a file is asked for while the NameNode has no DataNode for it.
	// After a restart it leaves safe mode before it takes its DataNodes as usable, and says the same as if all were full.
	firstBlockWindow = 10 * time.Second
	// abortTimeout bounds the removal of a file that was given up.
	abortTimeout = 30 * time.Second
)

// Open implements filesystem.FileSystem.
func (f *FS) Open(ctx context.Context, p string) (filesystem.File, error) {
	s, err := f.openStream(ctx, p)
	if err != nil {
		return nil, f.wrap("open", p, err)
	}
	st := s.r.Stat()
	return &file{fs: f, path: p, id: fileID(st), size: st.Size(), isDir: st.IsDir(), seq: s}, nil
}

// stream is the library's reader with the client it lives on.
type stream struct {
	fs *FS
	c  *client
	r  *hdfs.FileReader
}

func (f *FS) openStream(ctx context.Context, p string) (*stream, error) {
	return call(ctx, f, idempotent, func(c *client) (*stream, error) {
		r, err := c.lib.Open(p)
		if err != nil {
			return nil, err
		}
		f.pool.addUser(c)
		return &stream{fs: f, c: c, r: r}, nil
	})
}

func (s *stream) close() {
	if s != nil {
		s.r.Close()
		s.fs.pool.put(s.c, false)
	}
}

func (s *stream) abandon() { s.close() }

// file reads through two readers of the library, whose ReadAt moves the position of its Read.
type file struct {
	fs    *FS
	path  string
	id    uint64
	size  int64
	isDir bool

	pos    int64
	seq    *stream // for Read; nil after a failure
	closed bool

	atMu sync.Mutex // guards the fields below; held while reading, so that ReadAt calls take turns
	at   *stream
	shut bool
}

func (r *file) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, filesystem.ErrClosed
	case r.isDir:
		return 0, r.fs.wrap("read", r.path, errors.New("is a directory"))
	case len(p) == 0:
		return 0, nil
	case r.pos >= r.size:
		return 0, io.EOF
	}
	n, err := r.read(&r.seq, p, r.pos)
	r.pos += int64(n)
	return n, err
}

func (r *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, r.fs.wrap("read", r.path, fmt.Errorf("negative offset: %w", fs.ErrInvalid))
	}
	r.atMu.Lock()
	defer r.atMu.Unlock()
	if r.shut {
		return 0, filesystem.ErrClosed
	}
	if r.isDir {
		return 0, r.fs.wrap("read", r.path, errors.New("is a directory"))
	}
	total := 0
	for total < len(p) {
		if off >= r.size {
			return total, io.EOF
		}
		n, err := r.read(&r.at, p[total:], off)
		total, off = total+n, off+int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// read reads at least one byte at off, which is before the end. After a failure it opens the file again: the library
// tries every DataNode that held the block when it asked, and this asks again, for as long as the retry window lasts.
func (r *file) read(s **stream, p []byte, off int64) (int, error) {
	deadline := time.Now().Add(r.fs.cfg.RetryWindow)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if *s == nil {
			if err := r.reopen(s); err != nil {
				return 0, r.fs.wrap("read", r.path, err)
			}
		}
		_, err := (*s).r.Seek(off, io.SeekStart)
		n := 0
		if err == nil {
			n, err = (*s).r.Read(p)
		}
		if n > 0 {
			return n, nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // a block shorter than the NameNode said
		}
		(*s).close()
		*s = nil
		if time.Now().After(deadline) {
			return 0, r.fs.wrap("read", r.path, fmt.Errorf("at byte %d: %w", off, r.fs.dataCause(err)))
		}
		r.fs.cfg.Logger.Warn("hdfs: read failed, trying again", "file", r.fs.URI(r.path), "offset", off, "pause", pause, "error", err)
		if err := r.fs.pause(context.Background(), pause); err != nil {
			return 0, r.fs.wrap("read", r.path, err)
		}
	}
}

func (r *file) reopen(s **stream) error {
	fresh, err := r.fs.openStream(context.Background(), r.path)
	if err != nil {
		return err
	}
	if st := fresh.r.Stat(); fileID(st) != r.id || st.Size() < r.size {
		fresh.close()
		return errors.New("the file was replaced while it was read")
	}
	*s = fresh
	return nil
}

func (r *file) Seek(offset int64, whence int) (int64, error) {
	if r.closed {
		return 0, filesystem.ErrClosed
	}
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return r.pos, r.fs.wrap("seek", r.path, fs.ErrInvalid)
	}
	r.pos = offset
	return offset, nil
}

func (r *file) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.seq.close()
	r.atMu.Lock()
	defer r.atMu.Unlock()
	r.shut = true
	r.at.close()
	r.at = nil
	return nil
}

// createDefaults are what the site files say about new files; 0 leaves it to the NameNode.
type createDefaults struct {
	replication int
	blockSize   int64
}

// defaultsFrom reads dfs.replication and dfs.blocksize, the latter with Hadoop's suffixes. What can't be read is left
// to the NameNode, which has its own.
func defaultsFrom(site map[string]string) createDefaults {
	var d createDefaults
	d.replication, _ = strconv.Atoi(strings.TrimSpace(site["dfs.replication"]))
	size := strings.ToLower(strings.TrimSpace(site["dfs.blocksize"]))
	shift := 0
	if n := len(size); n > 0 {
		if i := strings.IndexByte("kmgt", size[n-1]); i >= 0 {
			size, shift = size[:n-1], 10*(i+1)
		}
	}
	d.blockSize, _ = strconv.ParseInt(size, 10, 64)
	d.blockSize <<= shift
	return d
}

// Create implements filesystem.FileSystem. Overwrite removes the old file first: the library can't do both in one step.
func (f *FS) Create(ctx context.Context, p string, o filesystem.CreateOptions) (filesystem.Writer, error) {
	mode := o.Mode
	if mode == 0 {
		mode = 0o644
	}
	if o.Overwrite {
		if i, err := f.Stat(ctx, p); err == nil && i.IsDir {
			return nil, f.wrap("create", p, fmt.Errorf("is a directory: %w", fs.ErrExist))
		}
		if err := f.Remove(ctx, p, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("create %s: %w", f.URI(p), err)
		}
	}
	w, err := call(ctx, f, once, func(c *client) (*writer, error) {
		replication, blockSize, err := f.shape(c, o)
		if err != nil {
			return nil, err
		}
		lib, err := c.lib.CreateFile(p, replication, blockSize, wireMode(mode))
		if err != nil {
			return nil, err
		}
		f.pool.addUser(c)
		return &writer{fs: f, path: p, c: c, w: lib}, nil
	})
	if err != nil {
		return nil, f.wrap("create", p, err)
	}
	return w, nil
}

// shape is what the caller asks for, else what the site files say, else what the NameNode says (a cached answer).
func (f *FS) shape(c *client, o filesystem.CreateOptions) (replication int, blockSize int64, err error) {
	server, err := c.lib.ServerDefaults()
	if err != nil {
		return 0, 0, err
	}
	replication, blockSize = server.Replication, server.BlockSize
	if f.defaults.replication > 0 {
		replication = f.defaults.replication
	}
	if f.defaults.blockSize > 0 {
		blockSize = f.defaults.blockSize
	}
	if o.Replication > 0 {
		replication = o.Replication
	}
	if o.BlockSize > 0 {
		blockSize = o.BlockSize
	}
	return replication, blockSize, nil
}

type writer struct {
	fs    *FS
	path  string
	c     *client
	w     *hdfs.FileWriter
	begun bool  // a block was asked for
	err   error // the first failure: the library's writer is in no defined state after it
	done  bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, filesystem.ErrClosed
	}
	if w.err != nil || len(p) == 0 {
		return 0, w.err // the library would allocate a block that no DataNode ever gets to see
	}
	n, err := w.w.Write(p)
	deadline := time.Now().Add(min(firstBlockWindow, w.fs.cfg.RetryWindow))
	// The library can ask again for the first block, and only for that: for others it forgets what came before.
	for err != nil && n == 0 && !w.begun && errors.Is(w.fs.dataCause(err), filesystem.ErrNoSpace) && time.Now().Before(deadline) {
		if perr := w.fs.pause(context.Background(), firstPause); perr != nil {
			break
		}
		n, err = w.w.Write(p)
	}
	w.begun = true
	if err != nil {
		w.err = w.fs.wrap("write", w.path, w.fs.dataCause(err))
	}
	return n, w.err
}

func (w *writer) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	err := w.finish()
	w.fs.pool.put(w.c, err != nil && !isRemote(err))
	if w.err != nil {
		return w.err
	}
	if err != nil {
		return w.fs.wrap("close", w.path, w.fs.dataCause(err))
	}
	return nil
}

// finish closes the library's writer. ErrReplicating says that the DataNodes have all the data and the NameNode hasn't
// heard of it yet: it is a matter of milliseconds, and the file isn't complete before.
func (w *writer) finish() error {
	deadline := time.Now().Add(w.fs.cfg.Timeout)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := w.w.Close()
		if !hdfs.IsErrReplicating(err) || time.Now().After(deadline) {
			return err
		}
		if perr := w.fs.pause(context.Background(), pause); perr != nil {
			return perr
		}
	}
}

// Abort closes the file before it removes it: that is the only way to end the library's goroutines.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.Close()
	ctx, cancel := context.WithTimeout(context.Background(), abortTimeout)
	defer cancel()
	if err := w.fs.Remove(ctx, w.path, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (w *writer) abandon() { _ = w.Abort() }

// dataCause marks what is neither an exception nor a refusal as worth another try: a DataNode or the NameNode is gone.
func (f *FS) dataCause(err error) error {
	if isRemote(err) {
		return f.cause(err)
	}
	return filesystem.WithKind(filesystem.ErrUnavailable, f.cause(err))
}
