// Package filesystem is the one way in which Weft and its applications reach files: sources and sinks, checkpoints,
// savepoints, the high-availability log and the artifact cache all go through a FileSystem.
//
// The main types are FileSystem (an interface small enough to be implemented for any store with directories and an
// atomic rename), Set (which maps a location such as hdfs://nn:8020/x to a FileSystem and a path) and Local (the file:
// scheme). filesystem/hdfs holds the hdfs: scheme; filesystem/fstest the conformance suite every implementation passes,
// an in-memory file system with the semantics of HDFS, and a wrapper that injects faults.
//
// On top of the interface the package has AtomicWriter and WriteFile (a file appears complete or not at all), Glob, and
// Split with LineReader (line-oriented files read in parallel pieces).
//
// Every FileSystem and every Set is safe for concurrent use. A File or Writer belongs to one goroutine at a time,
// except File.ReadAt, which is safe for concurrent use. The package starts no goroutine.
package filesystem

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// FileSystem is a store of files and directories named by absolute, slash-separated paths.
//
// Errors wrap a *fs.PathError or name the path themselves, and answer errors.Is for fs.ErrNotExist, fs.ErrExist and
// fs.ErrPermission as well as for this package's ErrNoSpace, ErrQuotaExceeded, ErrSafeMode, ErrUnavailable and
// ErrUnknownOutcome where they apply. Every method may block on input and output and returns once ctx is done; the
// operation may then still take effect.
type FileSystem interface {
	// URI returns the full location of path, for instance hdfs://nn:8020/x. Set.Resolve takes it back.
	URI(path string) string

	// User is the name under which this value creates files.
	User() string

	// Home is the user's home directory.
	Home() string

	// Open opens an existing file for reading. Opening a directory fails, at the latest at the first read.
	Open(ctx context.Context, path string) (File, error)

	// Create creates a file for writing. The parent directory must exist (fs.ErrNotExist). If path exists, Create
	// fails with fs.ErrExist unless o.Overwrite is set. A reader may see the file before Close, empty or in part.
	Create(ctx context.Context, path string, o CreateOptions) (Writer, error)

	// Stat describes a file or directory.
	Stat(ctx context.Context, path string) (Info, error)

	// List describes the entries of a directory, sorted by name, hidden ones included. Entries that vanish while the
	// directory is read are left out.
	List(ctx context.Context, path string) ([]Info, error)

	// MkdirAll creates path and its missing parents with exactly mode (no umask is applied). An existing directory is
	// left as it is, and is no error. It is not exclusive: two callers may both succeed.
	MkdirAll(ctx context.Context, path string, mode fs.FileMode) error

	// Rename moves src to dst atomically: nobody sees both or neither. The parent of dst must exist, or fs.ErrNotExist.
	//
	// If dst exists and overwrite is false: fs.ErrExist. With overwrite a file replaces a file; a directory replaces an
	// empty directory but never one that has entries, and nothing replaces the other kind: fs.ErrExist.
	//
	// The refusal is atomic when src is a directory with entries and dst is one too, on every file system: that is how
	// to let exactly one of several contenders win. For files it is atomic on file: but a check before the rename on
	// HDFS, where two contenders that rename different files to dst at the same moment may both succeed.
	Rename(ctx context.Context, src, dst string, overwrite bool) error

	// Remove deletes a file or an empty directory, or with recursive a whole tree. A missing path is fs.ErrNotExist; a
	// directory that has entries is fs.ErrExist (ENOTEMPTY) unless recursive is set.
	Remove(ctx context.Context, path string, recursive bool) error

	// Chmod sets the permission and sticky bits of path.
	Chmod(ctx context.Context, path string, mode fs.FileMode) error

	// Glob returns what matches pattern, sorted by path. Per path segment the syntax is that of path.Match, and
	// {a,b} stands for a or b. A pattern without match yields an empty result and no error.
	Glob(ctx context.Context, pattern string) ([]Info, error)

	// Close gives back connections. Files still open fail afterwards.
	Close() error
}

// Linker is implemented by file systems that have link(2). Its Link is the exclusive step that Rename is not for
// files: with several callers exactly one succeeds.
type Linker interface {
	// Link makes name a second, durable name of the file existing. It fails with fs.ErrExist if name exists.
	Link(ctx context.Context, existing, name string) error
}

// File is an open file. ReadAt may be called concurrently, and neither uses nor moves the position of Read.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

// Writer writes a new file. Exactly one of Close and Abort ends it; further calls of either do nothing.
type Writer interface {
	io.Writer

	// Close ends the file and makes it durable as far as the store knows how. After an error the content is undefined
	// and the file may be there in part: remove it, or let AtomicWriter do that.
	Close() error

	// Abort gives the file up: buffers are dropped and the file is removed if that is possible.
	Abort() error
}

// CreateOptions says how a file is created. The zero value creates a new file with the store's defaults.
type CreateOptions struct {
	// Overwrite replaces an existing file; without it Create fails with fs.ErrExist.
	Overwrite bool
	// Mode holds the permission bits, set exactly (no umask is applied). 0 means 0644.
	Mode fs.FileMode
	// Replication is the number of copies where the store makes copies; 0 means its default.
	Replication int
	// BlockSize in bytes, where the store has blocks; 0 means its default.
	BlockSize int64
}

// Info describes a file or directory.
type Info struct {
	// Path is absolute and slash-separated, as FileSystem methods take it.
	Path string
	// Size in bytes; 0 for directories.
	Size int64
	// MTime is the time of the last modification in milliseconds since 1970, the unit in which YARN compares it.
	MTime int64
	// Mode has the permission bits, fs.ModeSticky and fs.ModeDir.
	Mode fs.FileMode
	// Owner and Group are names, or decimal ids where no name is known.
	Owner, Group string
	// IsDir is true for directories.
	IsDir bool
	// BlockSize in bytes; 0 where the store has no blocks.
	BlockSize int64
}

// ModTime is MTime as a time.Time.
func (i Info) ModTime() time.Time { return time.UnixMilli(i.MTime) }

// Name is the last element of Path.
func (i Info) Name() string { return Base(i.Path) }
