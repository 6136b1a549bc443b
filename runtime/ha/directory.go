package ha

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/weftstream/weft/filesystem"
)

// directory keeps a log in directories, on a file system such as HDFS where rename is atomic and refuses a target
// directory that has entries (whereas mkdir isn't exclusive, and a file can be written to and closed after the directory
// above it was moved).
//
//	<dir>/.prepare-<owner>/          an epoch about to be taken
//	<dir>/epoch-<number>/            an epoch: the prepared directory, renamed
//	    owner                        who took it; makes the directory non-empty, so that no second one replaces it
//	    open-<owner>/                its records, while it is the newest
//	    sealed-<owner>/              the same directory, renamed by whoever took a newer epoch
//	        <sequence>               a record, written as ../.<sequence>.tmp-… and renamed into the directory
//
// An append is a rename into open-<owner>/, and so fails once that is sealed: nobody makes a directory of this name
// again, even if all of epoch-<number> was removed and the number taken by a contender that was slow. Such a contender
// finds the higher number when it looks after the rename, and goes on to one higher still.
type directory struct {
	fs  filesystem.FileSystem
	dir string
}

const (
	// acquireRounds bounds how often a contender tries to take an epoch that others take first.
	acquireRounds = 100
	// renameAttempts bounds the tries to move an item into place when the file system fails.
	renameAttempts = 5

	epochPrefix   = "epoch-"
	openPrefix    = "open-"
	sealedPrefix  = "sealed-"
	preparePrefix = ".prepare-"
	ownerFile     = "owner"
)

func (d *directory) epochDir(n uint64) string {
	return path.Join(d.dir, fmt.Sprintf("%s%020d", epochPrefix, n))
}

// epochs returns the numbers of all epochs, ascending.
func (d *directory) epochs(ctx context.Context) ([]uint64, error) {
	infos, err := d.fs.List(ctx, d.dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, i := range infos {
		if name, ok := strings.CutPrefix(i.Name(), epochPrefix); ok {
			if n, ok := parseNumber(name); ok {
				numbers = append(numbers, n) // sorted, since the digits are of one length
			}
		}
	}
	return numbers, nil
}

func highest(numbers []uint64) uint64 {
	if len(numbers) == 0 {
		return 0
	}
	return numbers[len(numbers)-1]
}

func (d *directory) acquire(ctx context.Context) (epochStore, []entry, error) {
	if err := d.fs.MkdirAll(ctx, d.dir, 0o700); err != nil {
		return nil, nil, err
	}
	e, older, err := d.take(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range older {
		if err := d.seal(ctx, n); err != nil {
			return nil, nil, fmt.Errorf("seal epoch %d: %w", n, err)
		}
	}
	entries, err := d.readSealed(ctx, older)
	if err != nil {
		return nil, nil, err
	}
	// Had a newer epoch begun while this one was reading, its appends could have removed what this one didn't read yet.
	if err := e.check(ctx); err != nil {
		return nil, nil, err
	}
	d.removeStale(ctx, e, older, entries)
	return e, entries, nil
}

// take makes a new epoch with a number higher than all others, and returns the older ones.
func (d *directory) take(ctx context.Context) (*directoryEpoch, []uint64, error) {
	numbers, err := d.epochs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for range acquireRounds {
		e := &directoryEpoch{d: d, n: highest(numbers) + 1, owner: newOwner()}
		won, err := d.claim(ctx, e)
		if err != nil {
			return nil, nil, err
		}
		if numbers, err = d.epochs(ctx); err != nil {
			return nil, nil, err
		}
		// The number was free, but perhaps only because an epoch of long ago was removed.
		if won && highest(numbers) == e.n {
			return e, numbers[:len(numbers)-1], nil
		}
	}
	return nil, nil, fmt.Errorf("%w: %d times another contender was faster", ErrFenced, acquireRounds)
}

// claim prepares the directory of e and renames it into place. It reports false if the number is taken.
func (d *directory) claim(ctx context.Context, e *directoryEpoch) (bool, error) {
	prepared, target := path.Join(d.dir, preparePrefix+e.owner.String()), d.epochDir(e.n)
	var last error
	for range renameAttempts {
		if last = d.prepare(ctx, prepared, e); last != nil {
			if filesystem.Transient(last) && ctx.Err() == nil {
				continue
			}
			break
		}
		rerr := d.fs.Rename(ctx, prepared, target, false)
		if rerr == nil {
			return true, nil
		}
		// The answer may have been lost: what counts is whose directory is there.
		ours, err := d.ours(ctx, e)
		switch {
		case err != nil:
			return false, fmt.Errorf("%w (and to see what became of it: %w)", rerr, err)
		case ours:
			return true, nil
		}
		taken, err := filesystem.Exists(ctx, d.fs, target)
		if err != nil {
			return false, fmt.Errorf("%w (and to see what became of it: %w)", rerr, err)
		}
		if taken {
			d.removeQuietly(ctx, prepared)
			return false, nil
		}
		last = rerr
	}
	d.removeQuietly(ctx, prepared)
	return false, last
}

// prepare makes the directory that is to become the epoch, unless it is there. Another contender that cleans up may
// have removed it.
func (d *directory) prepare(ctx context.Context, prepared string, e *directoryEpoch) error {
	claim := &item{typ: claimItem, epoch: e.n, owner: e.owner}
	if err := d.fs.MkdirAll(ctx, path.Join(prepared, openPrefix+e.owner.String()), 0o700); err != nil {
		return err
	}
	w, err := d.fs.Create(ctx, path.Join(prepared, ownerFile), filesystem.CreateOptions{Mode: 0o600, Overwrite: true})
	if err != nil {
		return err
	}
	if _, err = w.Write(claim.encode()); err == nil {
		err = w.Close()
	}
	if err != nil {
		_ = w.Abort()
	}
	return err
}

// ours reports whether the directory at the epoch's number is that of e, open or sealed.
func (d *directory) ours(ctx context.Context, e *directoryEpoch) (bool, error) {
	open, err := filesystem.Exists(ctx, d.fs, e.openDir())
	if err != nil || open {
		return open, err
	}
	return filesystem.Exists(ctx, d.fs, e.sealedDir())
}

// seal renames the open directory of an epoch, so that nothing can be renamed into it any more.
func (d *directory) seal(ctx context.Context, n uint64) error {
	var last error
	for range renameAttempts {
		infos, err := d.fs.List(ctx, d.epochDir(n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed by a newer epoch, which sealed it first
		}
		if err != nil {
			return err
		}
		open := ""
		for _, i := range infos {
			if name, ok := strings.CutPrefix(i.Name(), openPrefix); ok {
				open = name
			}
		}
		if open == "" {
			return nil
		}
		// Whether this succeeds, its answer is lost or another contender does it first: the next listing tells.
		last = d.fs.Rename(ctx, path.Join(d.epochDir(n), openPrefix+open), path.Join(d.epochDir(n), sealedPrefix+open), false)
		if last == nil {
			return nil
		}
	}
	return fmt.Errorf("after %d attempts: %w", renameAttempts, last)
}

// readSealed reads the records of sealed epochs. They get no new ones, but superseded ones may vanish; then it starts
// again, so as not to miss a record whose successor it has not seen.
func (d *directory) readSealed(ctx context.Context, epochs []uint64) ([]entry, error) {
	for range readRounds {
		files, err := d.files(ctx, epochs)
		if err == nil {
			var entries []entry
			if entries, err = d.readFiles(ctx, files); err == nil {
				return entries, nil
			}
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the log changed %d times while it was read", readRounds)
}

// files returns the paths of the records of some epochs, in the order of appending. It fails with fs.ErrNotExist if a
// directory is sealed or removed meanwhile.
func (d *directory) files(ctx context.Context, epochs []uint64) ([]string, error) {
	var files []string
	for _, n := range epochs {
		dirs, err := d.fs.List(ctx, d.epochDir(n))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile: all its records are superseded
		}
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			if !strings.HasPrefix(dir.Name(), openPrefix) && !strings.HasPrefix(dir.Name(), sealedPrefix) {
				continue
			}
			infos, err := d.fs.List(ctx, dir.Path)
			if err != nil {
				return nil, err
			}
			for _, i := range infos {
				if _, ok := parseNumber(i.Name()); ok {
					files = append(files, i.Path)
				}
			}
		}
	}
	return files, nil
}

func (d *directory) readFiles(ctx context.Context, files []string) ([]entry, error) {
	entries := make([]entry, 0, len(files))
	for _, p := range files {
		b, err := filesystem.ReadFile(ctx, d.fs, p, maxItem)
		if err != nil {
			return nil, err
		}
		it, err := decodeItem(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; if the file is beyond repair, remove it: the record it held is then lost", d.fs.URI(p), err)
		}
		entries = append(entries, entry{it.Record, p})
	}
	return entries, nil
}

// read reads until the files are the same before and after. Without that it might list an epoch before a record is
// appended to it, and the one with the record that it supersedes after that was removed.
func (d *directory) read(ctx context.Context) ([]entry, error) {
	var before []string
	for round := range readRounds {
		numbers, err := d.epochs(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // nobody has led yet
		}
		if err != nil {
			return nil, err
		}
		files, err := d.files(ctx, numbers)
		if err == nil && round > 0 && slices.Equal(files, before) {
			var entries []entry
			if entries, err = d.readFiles(ctx, files); err == nil {
				return entries, nil
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		before = files
	}
	return nil, fmt.Errorf("the log changed %d times while it was read", readRounds)
}

// removeStale removes sealed epochs without a record that counts, and directories that contenders prepared and left.
// It runs as the newest epoch; what fails here is done by the next one.
func (d *directory) removeStale(ctx context.Context, e *directoryEpoch, older []uint64, entries []entry) {
	current, _ := latest(entries)
	live := map[string]bool{}
	for _, c := range current {
		live[path.Dir(path.Dir(c.ref))] = true
	}
	for _, n := range older {
		if !live[d.epochDir(n)] {
			d.removeQuietly(ctx, d.epochDir(n))
		}
	}
	now, err := d.fs.Stat(ctx, path.Join(d.epochDir(e.n), ownerFile))
	if err != nil {
		return
	}
	infos, err := d.fs.List(ctx, d.dir)
	if err != nil {
		return
	}
	for _, i := range infos {
		if strings.HasPrefix(i.Name(), preparePrefix) && now.MTime-i.MTime > staleAfter.Milliseconds() {
			d.removeQuietly(ctx, i.Path)
		}
	}
}

func (d *directory) removeQuietly(ctx context.Context, p string) {
	_ = d.fs.Remove(context.WithoutCancel(ctx), p, true)
}

// parseNumber reads a name of 20 digits.
func parseNumber(name string) (uint64, bool) {
	if len(name) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(name, 10, 64)
	return n, err == nil && n > 0
}
