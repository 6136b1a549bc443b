package stream_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// found is what a task made of a cached file.
type found struct{ Name, Path, Content, Err string }

// finder looks for the files that its records name.
type finder struct{ rt *stream.Runtime }

func (f *finder) Element(ctx *stream.Context[stream.NoKey, found], name string) error {
	p, err := f.rt.CachedFile(name)
	out := found{Name: name, Path: p}
	if err == nil {
		out.Content, err = contents(p)
	}
	if err != nil {
		out.Err = err.Error()
	}
	ctx.Emit(out)
	return nil
}

// contents describes a file, or all files below a directory.
func contents(root string) (string, error) {
	var lines []string
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		info, err := e.Info()
		name, _ := filepath.Rel(root, p)
		lines = append(lines, fmt.Sprintf("%s %s %s", name, info.Mode(), b))
		return err
	})
	return strings.Join(lines, "|"), err
}

// look has four subtasks look for names, and returns what they found, each once.
func look(t *testing.T, register func(env *stream.Env), names []string, o ...streamtest.Option) (map[string]found, error) {
	t.Helper()
	sink := streamtest.Collect[found]()
	_, err := streamtest.Try(t, func(env *stream.Env) {
		register(env)
		var all []string
		for range 8 {
			all = append(all, names...)
		}
		s := stream.From(env, streamtest.From(all...)).Rebalance()
		stream.ProcessEach(s, func(rt *stream.Runtime) *finder { return &finder{rt} }).To(sink)
	}, append([]streamtest.Option{streamtest.Parallelism(4)}, o...)...)
	got := map[string]found{}
	for _, f := range sink.Records() {
		if first, twice := got[f.Name]; twice && first != f {
			t.Errorf("two tasks found different things: %+v and %+v", first, f)
		}
		got[f.Name] = f
	}
	return got, err
}

func put(t *testing.T, path, content string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCachedFiles(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(temp, "tmp"))
	if err := os.Mkdir(filepath.Join(temp, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // behind the cluster's end
		left, err := os.ReadDir(os.TempDir())
		if err != nil || len(left) != 0 {
			t.Errorf("left in the temporary directory: %v, %v", left, err)
		}
	})
	dir := filepath.Join(temp, "user")
	file := put(t, dir+"/words.txt", "one", 0o600)
	script := put(t, dir+"/say.sh", "#!/bin/sh\necho said", 0o644)
	put(t, dir+"/tree/a/b.txt", "deep", 0o644)
	put(t, dir+"/tree/run", "x", 0o755)
	if err := os.Symlink("run", dir+"/tree/link"); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)

	got, err := look(t, func(env *stream.Env) {
		env.CachedFile("words", file)
		env.CachedFile("relative", "words.txt")
		env.CachedExecutable("say", "file://"+script)
		env.CachedFile("tree", "tree")
		env.CachedFile("both", file)
	}, []string{"words", "relative", "say", "tree", "both", "conf", "nobody"},
		streamtest.Set("pipeline.cached-files", "name:both,path:/of/the/configuration;name:conf,path:'file://"+script+"'"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"words": ". -r-------- one", "relative": ". -r-------- one", "both": ". -r-------- one",
		"say": ". -r-x------ #!/bin/sh\necho said", "conf": ". -r-------- #!/bin/sh\necho said",
		"tree": "a/b.txt -r-------- deep|link -r-x------ x|run -r-x------ x",
	} {
		if got[name].Content != want || got[name].Err != "" {
			t.Errorf("%s: %+v, want %q", name, got[name], want)
		}
	}
	if e := got["nobody"].Err; e != `cached file "nobody" isn't registered: the job has both, conf, relative, say, tree, words` {
		t.Errorf("a name that isn't registered: %q", e)
	}
	if base := filepath.Base(got["words"].Path); base != "words.txt" || got["words"].Path == file {
		t.Errorf("the copy is %s", got["words"].Path)
	}
	if _, err := os.Stat(got["words"].Path); err != nil {
		t.Errorf("the copy went before the cluster: %v", err)
	}
}

// TestCachedExecutableRuns runs what it was given.
func TestCachedExecutableRuns(t *testing.T) {
	script := put(t, t.TempDir()+"/say.sh", "#!/bin/sh\necho said $1", 0o644)
	sink := streamtest.Collect[string]()
	streamtest.Run(t, func(env *stream.Env) {
		env.CachedExecutable("say", script)
		stream.ProcessEach(stream.From(env, streamtest.From("a", "b")), func(rt *stream.Runtime) *sayer { return &sayer{rt} }).To(sink)
	})
	if got := sink.Records(); !slices.Contains(got, "said a\n") || !slices.Contains(got, "said b\n") {
		t.Errorf("%q", got)
	}
}

type sayer struct{ rt *stream.Runtime }

func (s *sayer) Element(ctx *stream.Context[stream.NoKey, string], word string) error {
	p, err := s.rt.CachedFile("say")
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(s.rt.Context(), p, word).Output()
	ctx.Emit(string(out))
	return err
}

// TestCachedFilesOfSubmissions: a job has a file as it was when the job was submitted, also beside another one that has the
// same name for something else.
func TestCachedFilesOfSubmissions(t *testing.T) {
	path := put(t, t.TempDir()+"/f", "first", 0o600)
	d := streamtest.Driver(t)
	results, sink := make(chan error, 2), streamtest.Collect[found]()
	start := make(chan struct{})
	job := stream.Define("cached-files-of-submissions", func(env *stream.Env, uri string) error {
		env.CachedFile("f", uri)
		s := stream.From(env, streamtest.From("f", "f", "f", "f"))
		stream.ProcessEach(s, func(rt *stream.Runtime) *heldFinder { return &heldFinder{finder{rt}, start} }).To(sink)
		return nil
	})
	submit := func() {
		client, err := job.Start(t.Context(), d, path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := client.Await(t.Context())
			results <- err
		}()
	}
	submit()
	put(t, path, "the second", 0o600)
	submit()
	put(t, path, "the third", 0o600)
	close(start)
	for range 2 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	count := map[string]int{}
	for _, f := range sink.Records() {
		count[f.Content+f.Err]++
	}
	if len(count) != 2 || count[". -r-------- first"] != 4 || count[". -r-------- the second"] != 4 {
		t.Errorf("found %v", count)
	}
}

// heldFinder waits until all jobs have been submitted.
type heldFinder struct {
	finder
	start <-chan struct{}
}

func (g *heldFinder) Element(ctx *stream.Context[stream.NoKey, found], name string) error {
	select {
	case <-g.start:
	case <-g.rt.Context().Done():
	}
	return g.finder.Element(ctx, name)
}

func TestCachedFileMissing(t *testing.T) {
	dir := t.TempDir()
	line := ""
	_, err := look(t, func(env *stream.Env) { line = "cachedfile_test.go:"; env.CachedFile("gone", dir+"/gone") }, []string{"gone"})
	if err == nil || !strings.Contains(err.Error(), line) || !strings.Contains(err.Error(), `cached file "gone"`) ||
		!strings.Contains(err.Error(), dir+"/gone") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that doesn't exist: %v", err)
	}
	_, err = look(t, func(env *stream.Env) {}, []string{"gone"}, streamtest.Set("pipeline.cached-files", "name:gone,path:"+dir+"/gone"))
	if err == nil || !strings.Contains(err.Error(), "pipeline.cached-files") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file of the configuration that doesn't exist: %v", err)
	}
	_, err = look(t, func(env *stream.Env) {}, []string{"gone"}, streamtest.Set("pipeline.cached-files", "name:m,path:'gs://bucket/x'"))
	if err == nil || !strings.Contains(err.Error(), "use an hdfs: URI") {
		t.Errorf("a location of another kind: %v", err)
	}
	_, err = look(t, func(env *stream.Env) {}, []string{"gone"}, streamtest.Set("pipeline.cached-files", "gone"))
	if err == nil || !strings.Contains(err.Error(), "name:file1,path:") {
		t.Errorf("a value that is no list of files: %v", err)
	}
	if err := os.Symlink(dir, dir+"/loop"); err != nil {
		t.Fatal(err)
	}
	_, err = look(t, func(env *stream.Env) { env.CachedFile("d", dir) }, []string{"d"})
	if err == nil || !strings.Contains(err.Error(), "symbolic link to a directory") {
		t.Errorf("a directory with a loop: %v", err)
	}
}
