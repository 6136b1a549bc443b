package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// RemoveShared removes files that checkpoints shared which are gone, unless a completed checkpoint needs them that is where
// those of the job are: beside the directory of shared files, or beside that of the job. While one of them can't be read
// everything stays, with an error. Files elsewhere are left alone. What is empty then goes, too.
func (s *Storage) RemoveShared(ctx context.Context, uris []string) error {
	byDir := map[string][]string{}
	for _, uri := range uris {
		if inShared(uri) {
			byDir[path.Dir(uri)] = append(byDir[path.Dir(uri)], uri)
		}
	}
	var first error
	for _, files := range byDir {
		if err := s.removeShared(ctx, files); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// removeShared removes files of one directory.
func (s *Storage) removeShared(ctx context.Context, uris []string) error {
	f, p, err := s.files.Resolve(uris[0])
	if err != nil {
		return fmt.Errorf("remove %s: %w", uris[0], err)
	}
	shared := path.Dir(p)
	job := path.Dir(shared)
	j := &jobFiles{s: s, used: map[string]bool{}}
	for _, dir := range []string{job, path.Dir(job)} {
		if err := j.neededBeside(ctx, f, dir); err != nil {
			return fmt.Errorf("remove %s and others, unless checkpoints in %s need them: %w", uris[0], dir, err)
		}
	}
	gone := slices.DeleteFunc(slices.Clone(uris), func(uri string) bool {
		f, p, err := s.files.Resolve(uri)
		return err == nil && j.used[f.URI(p)]
	})
	if err := s.RemoveFiles(ctx, gone); err != nil {
		return err
	}
	for _, dir := range []string{shared, job} {
		if err := removeEmpty(ctx, f, dir); err != nil {
			return fmt.Errorf("remove the directory of %s: %w", uris[0], err)
		}
	}
	return nil
}

// neededBeside notes what the completed checkpoints in a directory need.
func (j *jobFiles) neededBeside(ctx context.Context, f filesystem.FileSystem, dir string) error {
	all, err := checkpointsIn(ctx, f, dir)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := j.needs(ctx, f.URI(c)); err != nil {
			return err
		}
	}
	return nil
}

// Check says whether the files outside of its directory are there that a checkpoint needs.
func (s *Storage) Check(ctx context.Context, md *checkpointpb.Metadata) error {
	there := map[string]map[string]bool{} // by directory
	for _, uri := range Outside(md) {
		f, p, err := s.files.Resolve(uri)
		if err != nil {
			return fmt.Errorf("checkpoint %s needs %s: %w", md.GetDirectory(), uri, err)
		}
		dir := f.URI(path.Dir(p))
		if there[dir] == nil {
			entries, err := f.List(ctx, path.Dir(p))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("checkpoint %s needs %s, which can't be looked for: %w", md.GetDirectory(), uri, err)
			}
			there[dir] = map[string]bool{}
			for _, e := range entries {
				there[dir][path.Base(e.Path)] = true
			}
		}
		if !there[dir][path.Base(p)] {
			return fmt.Errorf("checkpoint %s needs %s, with state that it shares with earlier ones: %w; it was removed, or the checkpoint was copied from elsewhere: start from another one",
				md.GetDirectory(), uri, fs.ErrNotExist)
		}
	}
	return nil
}
