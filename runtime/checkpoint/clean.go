package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// removals is how often the removal of a directory is tried in which a subtask, that hasn't heard yet of the end of its
// checkpoint, may make a file meanwhile.
const removals = 3

// Discard removes a checkpoint's directory. Its _metadata goes first, so that what a failure leaves is no checkpoint. One
// that is gone already is no error.
func (s *Storage) Discard(ctx context.Context, dir string) error {
	f, p, err := s.files.Resolve(dir)
	if err != nil {
		return fmt.Errorf("remove checkpoint %s: %w", dir, err)
	}
	if err := f.Remove(ctx, path.Join(p, MetadataFile), false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove checkpoint %s: %w", dir, err)
	}
	for try := 1; ; try++ {
		err := f.Remove(ctx, p, true)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, fs.ErrExist) || try == removals:
			return fmt.Errorf("remove checkpoint %s: %w", dir, err)
		}
	}
}

// Dispose removes the savepoint or checkpoint at location, which must be one, and the files that it shares with others of its
// job, unless one of those is there and needs them.
func (s *Storage) Dispose(ctx context.Context, location string) error {
	md, err := s.Load(ctx, location)
	if err != nil {
		return err
	}
	if err := s.Discard(ctx, md.GetDirectory()); err != nil {
		return err
	}
	return s.RemoveShared(ctx, Outside(md))
}

// RemoveFiles removes files of a checkpoint that never became complete. It goes on after an error and returns the first.
func (s *Storage) RemoveFiles(ctx context.Context, uris []string) error {
	var first error
	for _, uri := range uris {
		f, p, err := s.files.Resolve(uri)
		if err == nil {
			err = f.Remove(ctx, p, false)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && first == nil {
			first = fmt.Errorf("remove %s: %w", uri, err)
		}
	}
	return first
}

// RemoveEmpty removes the directories that files were in, where nothing else is in them.
func (s *Storage) RemoveEmpty(ctx context.Context, files []string) error {
	for _, uri := range files {
		f, p, err := s.files.Resolve(uri)
		if err == nil {
			err = removeEmpty(ctx, f, path.Dir(p))
		}
		if err != nil {
			return fmt.Errorf("remove the directory of %s: %w", uri, err)
		}
	}
	return nil
}

func removeEmpty(ctx context.Context, f filesystem.FileSystem, dir string) error {
	err := f.Remove(ctx, dir, false)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Clean removes what a job that has ended needn't leave: checkpoints and what only they shared, directories of checkpoints
// that never became complete, states of ended subtasks that no checkpoint needs, and the job's own directory if it is empty
// then. A completed checkpoint that c doesn't name stays, with all that it refers to. Clean goes on after an error and returns
// the first; a checkpoint that can't be read has everything kept that it may need.
func (s *Storage) Clean(ctx context.Context, c Clean) error {
	var errs []error
	for _, dir := range c.Directories {
		if err := s.Discard(ctx, dir); err != nil {
			errs = append(errs, err)
		}
	}
	if err := s.RemoveShared(ctx, c.Shared); err != nil {
		errs = append(errs, err)
	}
	j := &jobFiles{s: s, Clean: c, used: map[string]bool{}}
	if err := j.clean(ctx); err != nil {
		errs = append(errs, fmt.Errorf("clean up behind job %s: %w", c.Job, err))
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// jobFiles are the files of one job.
type jobFiles struct {
	s *Storage
	Clean
	// used are the URIs of files that checkpoints need.
	used map[string]bool
}

func (j *jobFiles) clean(ctx context.Context) error {
	for _, dir := range j.Keep {
		if err := j.needs(ctx, dir); err != nil {
			return err
		}
	}
	var own filesystem.FileSystem
	var dir string
	if j.Base != "" {
		var err error
		if own, dir, err = j.s.files.Resolve(join(j.Base, j.Job.String())); err != nil {
			return err
		}
		if err := j.checkpoints(ctx, own, dir); err != nil {
			return err
		}
	}
	for _, dir := range j.Aborted {
		if err := j.aborted(ctx, dir); err != nil {
			return err
		}
	}
	if j.Base == "" {
		return nil
	}
	if err := j.unused(ctx, own, path.Join(dir, sharedName)); err != nil {
		return err
	}
	return removeEmpty(ctx, own, dir)
}

// needs notes which files a checkpoint refers to. One that isn't there any more refers to none.
func (j *jobFiles) needs(ctx context.Context, dir string) error {
	md, err := j.s.Load(ctx, dir)
	if errors.Is(err, ErrNotACheckpoint) {
		return nil
	}
	if err != nil {
		return err
	}
	for uri := range filesOf(md) {
		f, p, err := j.s.files.Resolve(uri)
		if err != nil {
			return err
		}
		j.used[f.URI(p)] = true
	}
	return nil
}

// checkpoints removes those of the job's own directory that never became complete: a JobMaster that was lost has left them.
// The others stay.
func (j *jobFiles) checkpoints(ctx context.Context, f filesystem.FileSystem, dir string) error {
	if !j.PerJob {
		return nil // those of other jobs are in the same place
	}
	all, err := checkpointsIn(ctx, f, dir)
	if err != nil {
		return err
	}
	for _, c := range all {
		_, err := f.Stat(ctx, path.Join(c, MetadataFile))
		switch {
		case err == nil:
			err = j.needs(ctx, f.URI(c))
		case errors.Is(err, fs.ErrNotExist):
			err = j.s.Discard(ctx, f.URI(c))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkpointsIn lists the directories of checkpoints, complete or not, in a directory, which needn't be there.
func checkpointsIn(ctx context.Context, f filesystem.FileSystem, dir string) (all []string, err error) {
	entries, err := f.List(ctx, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir && strings.HasPrefix(path.Base(e.Path), checkpointPrefix) {
			all = append(all, e.Path)
		}
	}
	return all, nil
}

// aborted removes the directory of a savepoint that was given up.
func (j *jobFiles) aborted(ctx context.Context, dir string) error {
	f, p, err := j.s.files.Resolve(dir)
	if err != nil {
		return err
	}
	for uri := range j.used {
		if strings.HasPrefix(uri, f.URI(p)+"/") {
			return nil
		}
	}
	return j.s.Discard(ctx, dir)
}

// unused removes the files of a directory that no checkpoint needs, and the directory if none is left.
func (j *jobFiles) unused(ctx context.Context, f filesystem.FileSystem, dir string) error {
	entries, err := f.List(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if j.used[f.URI(e.Path)] {
			continue
		}
		if err := f.Remove(ctx, e.Path, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return removeEmpty(ctx, f, dir)
}

// filesOf yields the URIs of all files that md refers to.
func filesOf(md *checkpointpb.Metadata) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range md.GetVertices() {
			for _, t := range v.GetSubtasks() {
				for _, file := range t.GetFiles() {
					if !yield(file) {
						return
					}
				}
			}
		}
		for _, file := range md.GetShared() {
			if !yield(file) {
				return
			}
		}
	}
}
