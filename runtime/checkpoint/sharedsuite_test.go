package checkpoint

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
)

// sharers leaves two checkpoints, each with a file of its own: a needs shared files 1 and 2, b needs 2 and 3.
func (s *store) sharers(perJob bool) (dir, a, b string) {
	s.Helper()
	base := s.dir()
	s.dirs++
	id := graph.JobID{byte(s.dirs), byte(s.dirs >> 8), 9}
	shared := SharedDirectory(base, id)
	a, b = CheckpointDirectory(base, perJob, id, 4, ""), CheckpointDirectory(base, perJob, id, 7, "ab12cd")
	for _, f := range []string{a + "/state", b + "/state", shared + "/1", shared + "/2", shared + "/3"} {
		s.mustWrite(f, "state")
	}
	s.ok(s.WriteMetadata(s.Context(), metadata(a, a+"/state", shared+"/1", shared+"/2")))
	s.ok(s.WriteMetadata(s.Context(), metadata(b, b+"/state", shared+"/2", shared+"/3")))
	return base, a, b
}

// sharedLeft are the names of the shared files below a directory.
func (s *store) sharedLeft(dir string) string {
	var names []string
	for _, f := range s.left(dir) {
		if _, name, shared := strings.Cut(f, "/"+sharedName+"/"); shared {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "")
}

func (s *store) testShared()     { s.shared(true) }
func (s *store) testSharedFlat() { s.shared(false) }

// shared: who disposes of a checkpoint, and dies meanwhile, leaves the other one whole.
func (s *store) shared(perJob bool) {
	var base, a, b string
	begin := func() string {
		base, a, b = s.sharers(perJob)
		return a
	}
	s.crash(begin, func(dir string) error { return s.Dispose(s.Context(), dir) }, func(dir string, finished bool) {
		if !s.whole(b) {
			s.Error("the other checkpoint isn't there")
		}
		if complete := s.whole(dir); finished && complete {
			s.Error("it is disposed of and still there")
		}
		if left := s.sharedLeft(base); finished && left != "23" || !strings.HasSuffix(left, "23") {
			s.Errorf("shared files %s are left", left)
		}
		if finished {
			s.ok(s.Dispose(s.Context(), b))
			if left := s.left(base); len(left) > 0 {
				s.Errorf("after both %q is left", left)
			}
		}
	})
	// What can't be read may need anything.
	begin()
	_, bad, err := s.files.Resolve(b + "/" + MetadataFile)
	s.ok(err)
	w, err := s.fs.Create(s.Context(), bad, filesystem.CreateOptions{Overwrite: true})
	s.ok(err)
	s.ok(w.Close())
	if err := s.Dispose(s.Context(), a); err == nil || s.sharedLeft(base) != "123" {
		s.Errorf("beside one that can't be read: %v, and %s is left", err, s.sharedLeft(base))
	}
	// A file that is elsewhere isn't this job's to remove.
	begin()
	s.mustWrite(base+"/elsewhere/1", "state")
	s.ok(s.RemoveShared(s.Context(), []string{base + "/elsewhere/1"}))
	s.ok(s.write(s.Context(), base+"/elsewhere/2", "state"))
	if !slices.Contains(s.left(base), "elsewhere/1") {
		s.Error("a file that isn't in a directory of shared ones is removed")
	}
	s.checkMissing(base, b)
}

// checkMissing: a checkpoint without one of its shared files is told from one that is whole.
func (s *store) checkMissing(base, dir string) {
	md, err := s.Load(s.Context(), dir)
	s.ok(err)
	s.ok(s.Check(s.Context(), md))
	for _, remove := range []string{"2", ""} { // a file, then the directory
		for _, uri := range Outside(md) {
			f, p, err := s.files.Resolve(uri)
			s.ok(err)
			if remove == "" || strings.HasSuffix(p, "/"+remove) {
				if err := f.Remove(s.Context(), p, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
					s.Fatal(err)
				}
			}
		}
		if err := s.Check(s.Context(), md); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/shared/2") || !strings.Contains(err.Error(), dir) {
			s.Errorf("without a shared file in %s: %v", base, err)
		}
	}
}
