package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint/checkpointpb"
)

// place is a file system that the suite runs on: open returns it, and a directory of the test's own.
type place struct {
	name string
	open func(t *testing.T) (filesystem.FileSystem, string)
}

func places() []place {
	return []place{
		{"file", func(t *testing.T) (filesystem.FileSystem, string) { return filesystem.Local{}, t.TempDir() }},
		{"memory", func(*testing.T) (filesystem.FileSystem, string) { return fstest.NewMemory("alice"), "/checkpoints" }},
	}
}

func TestStores(t *testing.T) {
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) { runSuite(t, p.open) })
	}
}

// runSuite is what checkpoints rely on in every file system that may hold them.
func runSuite(t *testing.T, open func(t *testing.T) (filesystem.FileSystem, string)) {
	for _, test := range []struct {
		name string
		run  func(*store)
	}{
		{"complete or invisible", (*store).testWrite}, {"a successor writes on", (*store).testSuccessor},
		{"removal", (*store).testDiscard}, {"removal in parts", (*store).testDiscardInParts}, {"removal is tried again", (*store).testDiscardRace}, {"adoption", (*store).testAdopt}, {"end of a job", (*store).testClean},
		{"what isn't the job's stays", (*store).testCleanLeaves}, {"the end of a job crashes", (*store).testCleanCrashes},
		{"shared files", (*store).testShared}, {"shared files of a layout without directories of jobs", (*store).testSharedFlat},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newStore(t, open)) })
	}
}

// scheme is what the suite calls its file system, so that URIs lead through the faults.
const scheme = "suite"

// named is a file system under the suite's scheme.
type named struct{ filesystem.FileSystem }

func (n named) URI(p string) string { return scheme + "://x" + p }

// store is a Storage whose calls can be made to fail.
type store struct {
	*testing.T
	*Storage
	fs     filesystem.FileSystem
	under  filesystem.FileSystem // without faults
	faults *fstest.Faulty
	base   string // URI
	dirs   int
}

func newStore(t *testing.T, open func(t *testing.T) (filesystem.FileSystem, string)) *store {
	t.Helper()
	under, base := open(t)
	fsys, faults := fstest.NewFaulty(under)
	files, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
		scheme: func(string) (filesystem.FileSystem, error) { return named{fsys}, nil }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return &store{T: t, Storage: NewStorage(files), fs: named{fsys}, under: under, faults: faults, base: scheme + "://x" + base}
}

func (s *store) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// dir is a new directory's URI.
func (s *store) dir() string {
	s.dirs++
	return fmt.Sprintf("%s/%d", s.base, s.dirs)
}

// write writes a file of a subtask, as a task does.
func (s *store) write(ctx context.Context, uri, text string) error {
	f, p, err := s.files.Resolve(uri)
	if err != nil {
		return err
	}
	w, err := f.Create(ctx, p, filesystem.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		_ = w.Abort()
		return err
	}
	return w.Close()
}

// mustWrite makes the directory, too.
func (s *store) mustWrite(uri, text string) {
	s.Helper()
	_, p, err := s.files.Resolve(uri)
	s.ok(err)
	s.ok(s.fs.MkdirAll(s.Context(), path.Dir(p), 0o755))
	s.ok(s.write(s.Context(), uri, text))
}

// metadata is that of a checkpoint in dir whose subtasks have these files.
func metadata(dir string, files ...string) *checkpointpb.Metadata {
	v := &checkpointpb.Vertex{Id: opID(1), Parallelism: int32(len(files)), MaxParallelism: 8}
	for _, f := range files {
		v.Subtasks = append(v.Subtasks, &linkpb.TaskState{Files: []string{f}, Bytes: 5})
	}
	return &checkpointpb.Metadata{Version: FormatVersion, Checkpoint: 1, Directory: dir, Vertices: []*checkpointpb.Vertex{v}}
}

// take takes a checkpoint: its directory, a file, its metadata.
func (s *store) take(dir string) error {
	full, err := s.Prepare(s.Context(), dir)
	if err != nil {
		return err
	}
	if err := s.write(s.Context(), full+"/state", "state"); err != nil {
		return err
	}
	return s.WriteMetadata(s.Context(), metadata(full, full+"/state"))
}

// crash runs do as if its process died at every one of its steps, before the step and after it; then check is run by another
// process.
func (s *store) crash(begin func() string, do func(dir string) error, check func(dir string, finished bool)) {
	s.Helper()
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			dir := begin()
			s.faults.SetHook(fstest.CrashAt(n, after))
			err := do(dir)
			calls := s.faults.Calls()
			s.faults.SetHook(nil)
			check(dir, err == nil)
			if s.Failed() {
				s.Fatalf("it crashed at call %d, after its effect: %v", n, after)
			}
			if calls < n {
				s.ok(err)
				break
			}
		}
	}
}

// whole checks that a checkpoint is there with all its files, or that nobody sees it.
func (s *store) whole(dir string) (complete bool) {
	s.Helper()
	md, err := s.Load(s.Context(), dir)
	if errors.Is(err, ErrNotACheckpoint) {
		return false
	}
	if err != nil {
		s.Errorf("half a checkpoint: %v", err)
		return false
	}
	for file := range filesOf(md) {
		_, p, err := s.files.Resolve(file)
		s.ok(err)
		f, err := s.fs.Open(s.Context(), p)
		if err != nil {
			s.Errorf("a complete checkpoint without its file: %v", err)
			continue
		}
		if text, err := io.ReadAll(f); err != nil || string(text) != "state" {
			s.Errorf("a complete checkpoint's file holds %q: %v", text, err)
		}
		_ = f.Close()
	}
	return true
}

// gone checks that nothing is left.
func (s *store) gone(uri string) {
	s.Helper()
	_, p, err := s.files.Resolve(uri)
	s.ok(err)
	if _, err := s.fs.Stat(s.Context(), p); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("%s is left: %v", uri, err)
	}
}

func (s *store) testWrite() {
	s.crash(s.dir, s.take, func(dir string, finished bool) {
		if complete := s.whole(dir); finished && !complete {
			s.Error("it was taken and isn't there")
		}
		s.ok(s.Discard(s.Context(), dir))
		s.gone(dir)
	})
}

func (s *store) testSuccessor() {
	s.crash(s.dir, s.take, func(dir string, _ bool) {
		complete := s.whole(dir)
		md := metadata(dir, dir+"/other")
		full, err := s.Prepare(s.Context(), dir)
		if complete {
			if err == nil || !strings.Contains(err.Error(), "completed checkpoint already") {
				s.Errorf("a complete checkpoint is written over: %v", err)
			}
			return
		}
		s.ok(err)
		s.ok(s.write(s.Context(), full+"/other", "state"))
		s.ok(s.WriteMetadata(s.Context(), md))
		if !s.whole(dir) {
			s.Error("a successor's checkpoint isn't there")
		}
	})
}

func (s *store) testDiscard() {
	begin := func() string {
		dir := s.dir()
		s.ok(s.take(dir))
		return dir
	}
	s.crash(begin, func(dir string) error { return s.Discard(s.Context(), dir) }, func(dir string, finished bool) {
		if s.whole(dir) && finished {
			s.Error("it is removed and still there")
		}
		s.ok(s.Discard(s.Context(), dir))
		s.gone(dir)
	})
}

// testDiscardInParts: a process dies while a file system that has no atomic removal of trees removes one.
func (s *store) testDiscardInParts() {
	dir := s.dir()
	s.ok(s.take(dir))
	_, p, err := s.files.Resolve(dir)
	s.ok(err)
	s.faults.SetHook(func(c fstest.Call) fstest.Fault {
		if c.Op != fstest.OpRemove || c.Path != p {
			return fstest.Fault{}
		}
		s.ok(s.under.Remove(s.Context(), p+"/state", false))
		return fstest.Fault{Before: fstest.ErrInjected}
	})
	if err := s.Discard(s.Context(), dir); !errors.Is(err, fstest.ErrInjected) {
		s.Errorf("the removal's error: %v", err)
	}
	s.faults.SetHook(nil)
	if s.whole(dir) {
		s.Error("a checkpoint that is partly removed is complete")
	}
	s.ok(s.Discard(s.Context(), dir))
	s.gone(dir)
}

// testDiscardRace: a subtask that hasn't heard yet makes a file while the directory is removed.
func (s *store) testDiscardRace() {
	dir := s.dir()
	s.ok(s.take(dir))
	s.faults.SetHook(fstest.FailNth(2, fstest.Fault{Before: &fs.PathError{Op: "remove", Err: fs.ErrExist}}, fstest.OpRemove))
	s.ok(s.Discard(s.Context(), dir))
	s.faults.SetHook(nil)
	s.gone(dir)
	s.mustWrite(dir+"/late", "state")
	s.ok(s.RemoveFiles(s.Context(), []string{dir + "/late"}))
	s.ok(s.RemoveEmpty(s.Context(), []string{dir + "/late"}))
	s.gone(dir)
	s.mustWrite(dir+"/other", "state")
	s.ok(s.RemoveEmpty(s.Context(), []string{dir + "/late"}))
	s.ok(s.write(s.Context(), dir+"/third", "state")) // the directory is still there
}

func (s *store) testAdopt() {
	shared := s.base + "/job/shared/final"
	s.mustWrite(shared, "state")
	// Two subtasks refer to the same file, and the state is the coordinator's own.
	final := &linkpb.TaskState{Files: []string{shared}}
	adopt := func(dir string) error {
		full, err := s.Prepare(s.Context(), dir)
		if err != nil {
			return err
		}
		if err := s.write(s.Context(), full+"/state", "state"); err != nil {
			return err
		}
		md := metadata(full, full+"/state")
		md.Savepoint = true
		md.Vertices[0].Subtasks = append(md.Vertices[0].Subtasks, final, final)
		if err := s.Adopt(s.Context(), md); err != nil {
			return err
		}
		return s.WriteMetadata(s.Context(), md)
	}
	s.crash(s.dir, adopt, func(dir string, finished bool) {
		if final.GetFiles()[0] != shared {
			s.Fatal("the state that later checkpoints are made of was changed")
		}
		if complete := s.whole(dir); finished && !complete {
			s.Error("it was taken and isn't there")
		}
	})
	dir := s.dir()
	s.ok(adopt(dir))
	_, p, err := s.files.Resolve(s.base + "/job")
	s.ok(err)
	s.ok(s.fs.Remove(s.Context(), p, true))
	_, from, err := s.files.Resolve(dir)
	s.ok(err)
	s.ok(s.fs.Rename(s.Context(), from, from+"-moved", false))
	if !s.whole(dir + "-moved") {
		s.Error("a savepoint can't be moved")
	}
	md, err := s.Load(s.Context(), dir+"-moved")
	s.ok(err)
	for file := range filesOf(md) {
		if !strings.HasPrefix(file, dir+"-moved/") {
			s.Errorf("the savepoint needs %s", file)
		}
	}
}

// job is one that leaves all that a job can leave: of checkpoints 1 to 3 the last two are completed, 2 needs the state of an
// ended subtask.
type job struct {
	id           graph.JobID
	dir          string
	chk2, chk3   string
	aborted      string
	needed, idle string
}

func (s *store) leave(base string) job {
	s.dirs++
	j := job{id: graph.JobID{byte(s.dirs), byte(s.dirs >> 8), 7}}
	j.dir = base + "/" + j.id.String()
	j.chk2, j.chk3, j.aborted = j.dir+"/chk-2", j.dir+"/chk-3-ab12cd", base+"/savepoint-x"+fmt.Sprint(s.dirs)
	j.needed, j.idle = SharedDirectory(base, j.id)+"/needed", SharedDirectory(base, j.id)+"/idle"
	s.mustWrite(j.needed, "state")
	s.mustWrite(j.idle, "state")
	s.mustWrite(j.dir+"/chk-1/state", "half")
	s.mustWrite(j.aborted+"/final", "state")
	for _, dir := range []string{j.chk2, j.chk3} {
		s.mustWrite(dir+"/state", "state")
	}
	s.ok(s.WriteMetadata(s.Context(), metadata(j.chk2, j.chk2+"/state", j.needed)))
	s.ok(s.WriteMetadata(s.Context(), metadata(j.chk3, j.chk3+"/state")))
	return j
}

// left are the files below a directory.
func (s *store) left(uri string) []string {
	s.Helper()
	_, root, err := s.files.Resolve(uri)
	s.ok(err)
	var all []string
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := s.fs.List(s.Context(), dir)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		s.ok(err)
		for _, e := range entries {
			all = append(all, strings.TrimPrefix(e.Path, root+"/"))
			if e.IsDir {
				walk(e.Path)
			}
		}
	}
	walk(root)
	return all
}

func (s *store) testClean() {
	j := s.leave(s.base)
	s.ok(s.Clean(s.Context(), Clean{Base: s.base, PerJob: true, Job: j.id, Directories: []string{j.chk3}, Keep: []string{j.chk2}, Aborted: []string{j.aborted}}))
	if left := s.left(j.dir); !slices.Equal(left, []string{"chk-2", "chk-2/_metadata", "chk-2/state", "shared", "shared/needed"}) {
		s.Errorf("with checkpoint 2 retained there is %q", left)
	}
	if !s.whole(j.chk2) {
		s.Error("the checkpoint that is retained isn't complete")
	}
	s.gone(j.aborted)
	s.ok(s.Clean(s.Context(), Clean{Base: s.base, PerJob: true, Job: j.id, Directories: []string{j.chk2}}))
	s.gone(j.dir)
	s.ok(s.Clean(s.Context(), Clean{Base: s.base, PerJob: true, Job: j.id, Directories: []string{j.chk2}, Keep: []string{j.chk3}, Aborted: []string{j.aborted}}))
	s.gone(j.dir)
}

// testCleanLeaves: what the job doesn't know of, and what checkpoints need that it doesn't know of, stays.
func (s *store) testCleanLeaves() {
	j := s.leave(s.base)
	s.mustWrite(j.dir+"/notes.txt", "mine")
	s.mustWrite(j.dir+"/backup/chk-1/state", "mine")
	s.ok(s.Clean(s.Context(), Clean{Base: s.base, PerJob: true, Job: j.id, Directories: []string{j.chk3}}))
	want := []string{"backup", "backup/chk-1", "backup/chk-1/state", "chk-2", "chk-2/_metadata", "chk-2/state", "notes.txt", "shared", "shared/needed"}
	if left := s.left(j.dir); !slices.Equal(left, want) {
		s.Errorf("there is %q, want %q", left, want)
	}
	// Without a directory of the job's own, others' checkpoints lie beside its own.
	base := s.dir()
	j = s.leave(base)
	s.mustWrite(base+"/chk-1/state", "another job's")
	s.ok(s.Clean(s.Context(), Clean{Base: base, Job: j.id, Directories: []string{j.chk3}, Keep: []string{j.chk2}}))
	if left := s.left(base); !slices.Contains(left, "chk-1/state") || !slices.Contains(left, j.id.String()+"/shared/needed") || slices.Contains(left, j.id.String()+"/shared/idle") {
		s.Errorf("there is %q", left)
	}
	// A savepoint that was given up holds what a checkpoint needs.
	j = s.leave(s.dir())
	s.ok(s.Discard(s.Context(), j.chk3))
	s.mustWrite(j.chk3+"/state", "state")
	s.ok(s.WriteMetadata(s.Context(), metadata(j.chk3, j.aborted+"/final")))
	s.ok(s.Clean(s.Context(), Clean{Keep: []string{j.chk3}, Aborted: []string{j.aborted}}))
	if !s.whole(j.chk3) {
		s.Error("what a checkpoint needs was removed")
	}
	// A checkpoint that can't be read has everything kept.
	s.mustWrite(j.chk2+"/_metadata.bad", "")
	_, bad, err := s.files.Resolve(j.chk2 + "/" + MetadataFile)
	s.ok(err)
	w, err := s.fs.Create(s.Context(), bad, filesystem.CreateOptions{Overwrite: true})
	s.ok(err)
	s.ok(w.Close())
	if err := s.Clean(s.Context(), Clean{Base: strings.TrimSuffix(j.dir, "/"+j.id.String()), PerJob: true, Job: j.id, Keep: []string{j.chk2}}); err == nil {
		s.Error("nothing is said of a checkpoint that can't be read")
	}
	if left := s.left(j.dir); !slices.Contains(left, "shared/needed") {
		s.Errorf("there is %q", left)
	}
}

func (s *store) testCleanCrashes() {
	var j job
	var c Clean
	begin := func() string {
		j = s.leave(s.dir())
		c = Clean{Base: strings.TrimSuffix(j.dir, "/"+j.id.String()), PerJob: true, Job: j.id, Directories: []string{j.chk3}, Keep: []string{j.chk2}, Aborted: []string{j.aborted}}
		return j.dir
	}
	s.crash(begin, func(string) error { return s.Clean(s.Context(), c) }, func(string, bool) {
		if !s.whole(j.chk2) {
			s.Error("the checkpoint that is retained isn't complete")
		}
		s.whole(j.chk3)
		s.ok(s.Clean(s.Context(), c))
		if left := s.left(j.dir); len(left) != 5 || !s.whole(j.chk2) {
			s.Errorf("a second attempt leaves %q", left)
		}
	})
}

// TestAdoptedStateIsAsBefore: what is adopted differs in nothing but the place of its files.
func TestAdoptedStateIsAsBefore(t *testing.T) {
	s := newStore(t, places()[1].open)
	file := s.base + "/job/shared/final"
	s.mustWrite(file, "state")
	dir, err := s.Prepare(t.Context(), s.dir())
	s.ok(err)
	md := metadata(dir, dir+"/own", file)
	before := proto.CloneOf(md)
	s.ok(s.Adopt(t.Context(), md))
	before.Vertices[0].Subtasks[1].Files[0] = dir + "/final"
	if !proto.Equal(md, before) {
		t.Errorf("adopted: %v", md)
	}
}
