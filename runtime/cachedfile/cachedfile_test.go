package cachedfile

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/rpc"
)

func file(t *testing.T, path, content string, mode fs.FileMode) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// entry is a file that is registered.
func entry(t *testing.T, name, uri string, executable bool) *graph.CachedFile {
	t.Helper()
	f, err := New(name, uri, executable, "main.go:7")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// tree is what is below a directory, a line each.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, p)
		content := []byte(nil)
		if !e.IsDir() {
			content, err = os.ReadFile(p)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", name, info.Mode(), content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// jobManager serves what is put by its hash, and counts.
type jobManager struct {
	content map[[32]byte][]byte
	opened  atomic.Int32
	read    func(io.Reader) io.Reader // what TaskManagers get to see; nil: the content
}

func (j *jobManager) put(_ context.Context, path string) (artifact.Artifact, error) {
	b, err := os.ReadFile(path)
	sum := sha256.Sum256(b)
	j.content[sum] = b
	return artifact.Artifact{SHA256: sum, Size: int64(len(b))}, err
}

func (j *jobManager) open(_ context.Context, sum [32]byte) (io.ReadCloser, error) {
	j.opened.Add(1)
	b, ok := j.content[sum]
	if !ok {
		return nil, rpc.ErrArtifactNotFound
	}
	var r io.Reader = bytes.NewReader(b)
	if j.read != nil {
		r = j.read(r)
	}
	return io.NopCloser(r), nil
}

func newJobManager() *jobManager { return &jobManager{content: map[[32]byte][]byte{}} }

// TestUploaded: files of the submitting machine arrive as they were when they were staged, however often they are asked for.
func TestUploaded(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir+"/tmp")
	if err := os.Mkdir(dir+"/tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	file(t, dir+"/d/sub/deep.txt", "deep", 0o644)
	file(t, dir+"/d/run", "run", 0o755)
	if err := errors.Join(os.Mkdir(dir+"/d/empty", 0o755), os.Symlink("sub/deep.txt", dir+"/d/zlink"), os.Symlink("d", dir+"/dlink")); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("0123456789abcdef", 1<<17) // more than one buffer
	files := []*graph.CachedFile{
		entry(t, "plain", file(t, dir+"/plain.txt", "plain", 0o644), false),
		entry(t, "executable", "file://"+dir+"/plain.txt", true),
		entry(t, "was executable", file(t, dir+"/tool", big, 0o755), false),
		entry(t, "nothing", file(t, dir+"/nothing", "", 0o600), false),
		entry(t, "directory", dir+"/dlink", false),
		entry(t, "all executable", dir+"/d", true),
	}
	if Staged(files) {
		t.Error("all is staged before anything is")
	}
	jm := newJobManager()
	if err := Stage(t.Context(), files, jm.put); err != nil {
		t.Fatal(err)
	}
	if !Staged(files) {
		t.Error("something isn't staged")
	}
	if !bytes.Equal(files[4].GetSha256(), files[5].GetSha256()) || len(jm.content) != 4 {
		t.Error("a directory makes another archive each time")
	}
	if left := tree(t, dir+"/tmp"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	file(t, dir+"/plain.txt", "changed", 0o644) // no matter any more
	job := dir + "/tm/job"
	paths, err := Source{JobManager: jm.open}.Fetch(t.Context(), job, files)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0 drwx------ ", "0/plain.txt -r-------- plain", "1 drwx------ ", "1/plain.txt -r-x------ plain",
		"2 drwx------ ", "2/tool -r-x------ " + big, "3 drwx------ ", "3/nothing -r-------- ",
		"4 drwx------ ", "4/dlink drwx------ ", "4/dlink/empty drwx------ ", "4/dlink/run -r-x------ run", "4/dlink/sub drwx------ ",
		"4/dlink/sub/deep.txt -r-------- deep", "4/dlink/zlink -r-------- deep",
		"5 drwx------ ", "5/d drwx------ ", "5/d/empty drwx------ ", "5/d/run -r-x------ run", "5/d/sub drwx------ ",
		"5/d/sub/deep.txt -r-x------ deep", "5/d/zlink -r-x------ deep"}
	if got := tree(t, job); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if paths["directory"] != job+"/4/dlink" || paths["plain"] != job+"/0/plain.txt" || len(paths) != len(files) {
		t.Errorf("paths %v", paths)
	}
	opened := jm.opened.Load()
	again, err := Source{JobManager: jm.open}.Fetch(t.Context(), job, files)
	if err != nil || jm.opened.Load() != opened || again["plain"] != paths["plain"] {
		t.Errorf("the second time: %v, %v; opened %d times", again, err, jm.opened.Load()-opened)
	}
}

// shared is a file system that all machines reach.
func shared(t *testing.T) (*fstest.Memory, *filesystem.Set) {
	t.Helper()
	m := fstest.NewMemory("alice")
	set, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
		"hdfs": func(string) (filesystem.FileSystem, error) { return m, nil }}})
	if err != nil {
		t.Fatal(err)
	}
	return m, set
}

func write0(t *testing.T, m filesystem.FileSystem, path, content string) {
	t.Helper()
	err := m.MkdirAll(t.Context(), filepath.Dir(path), 0o755)
	if err == nil {
		err = filesystem.WriteFile(t.Context(), m, path, []byte(content), filesystem.CreateOptions{Overwrite: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestShared(t *testing.T) {
	m, set := shared(t)
	write0(t, m, "/data/model.bin", "model")
	write0(t, m, "/data/dir/a/b", "b")
	write0(t, m, "/data/dir/c", "c")
	files := []*graph.CachedFile{entry(t, "model", "hdfs:///data/model.bin", true), entry(t, "dir", "hdfs://nn:8020/data/dir/", false)}
	never := func(context.Context, string) (artifact.Artifact, error) {
		t.Error("a shared file was uploaded")
		return artifact.Artifact{}, nil
	}
	if err := Stage(t.Context(), files, never); err != nil || !Staged(files) {
		t.Fatal(err)
	}
	job := t.TempDir() + "/job"
	if _, err := (Source{Files: set}).Fetch(t.Context(), job, files); err != nil {
		t.Fatal(err)
	}
	want := []string{"0 drwx------ ", "0/model.bin -r-x------ model", "1 drwx------ ", "1/dir drwx------ ", "1/dir/a drwx------ ",
		"1/dir/a/b -r-------- b", "1/dir/c -r-------- c"}
	if got := tree(t, job); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// TestCache: what is staged in the cache is fetched from there, checked, and known to a driver elsewhere by the configuration.
func TestCache(t *testing.T) {
	m, set := shared(t)
	if err := m.MkdirAll(t.Context(), "/user/alice", 0o755); err != nil {
		t.Fatal(err)
	}
	put := ToCache(artifact.NewCache(artifact.CacheConfig{FS: inHDFS{m}, Staging: "/user/alice/.weft"}))
	dir := t.TempDir()
	files := []*graph.CachedFile{entry(t, "f", file(t, dir+"/f.txt", "content", 0o755), false), entry(t, "d", dir, true),
		entry(t, "stays", "hdfs:///x/y", true)}
	if err := Stage(t.Context(), files, put); err != nil {
		t.Fatal(err)
	}
	var entries []conf.CachedFile
	for _, f := range files {
		entries = append(entries, Entry(f))
	}
	var b conf.Builder
	b.Set(conf.PipelineCachedFiles.Key(), conf.PipelineCachedFiles.Format(entries), "")
	c, _, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	there, err := OfConfiguration(c)
	if err != nil || !Staged(there) {
		t.Fatal(there, err)
	}
	for i, f := range there {
		want := proto.CloneOf(files[i])
		want.Source, want.Registered = want.Uri, conf.PipelineCachedFiles.Key()
		if !proto.Equal(f, want) {
			t.Errorf("got %v, want %v", f, want)
		}
	}
	job := t.TempDir() + "/job"
	if _, err := (Source{Files: set}).Fetch(t.Context(), job, there[:2]); err != nil {
		t.Fatal(err)
	}
	want := []string{"0 drwx------ ", "0/f.txt -r-x------ content", "1 drwx------ ", "1/" + filepath.Base(dir) + " drwx------ ",
		"1/" + filepath.Base(dir) + "/f.txt -r-x------ content"}
	if got := tree(t, job); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// inHDFS has the locations of an hdfs: file system.
type inHDFS struct{ *fstest.Memory }

func (inHDFS) URI(p string) string { return "hdfs://nn" + p }

// TestFetchFails: whatever is wrong is said with the file's name, where it comes from and why, and nothing is left.
func TestFetchFails(t *testing.T) {
	m, set := shared(t)
	write0(t, m, "/data/f", "f")
	dir := t.TempDir()
	local := file(t, dir+"/f", strings.Repeat("x", 3<<20), 0o600)
	archive := func(name string, kind byte) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Linkname: "/etc/passwd", Mode: 0o600}), w.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	of := func(content []byte) *graph.CachedFile {
		sum := sha256.Sum256(content)
		return &graph.CachedFile{Name: "f", FileName: "f", Sha256: sum[:], Size: int64(len(content)), Directory: true, Source: "/my/dir", Registered: "main.go:7"}
	}
	outside, link := archive("../outside", tar.TypeReg), archive("link", tar.TypeSymlink)
	for name, test := range map[string]struct {
		file  *graph.CachedFile
		stage bool
		read  func(io.Reader) io.Reader
		want  []string
	}{
		"missing":                   {file: entry(t, "f", "hdfs:///data/gone", false), want: []string{"hdfs:///data/gone", fs.ErrNotExist.Error()}},
		"changed":                   {file: entry(t, "f", "hdfs:///data/grows", false), want: []string{"hdfs:///data/grows", "changed while it was fetched"}},
		"unknown to the JobManager": {file: of(nil), want: []string{"the JobManager, where the client uploaded /my/dir", "artifact not found"}},
		"other content": {file: entry(t, "f", local, false), stage: true, want: []string{"checksum mismatch", local},
			read: func(r io.Reader) io.Reader { return io.MultiReader(strings.NewReader("y"), r) }},
		"cut off": {file: entry(t, "f", local, false), stage: true, want: []string{"checksum mismatch", "got 1000 bytes"},
			read: func(r io.Reader) io.Reader { return io.LimitReader(r, 1000) }},
		"broken": {file: entry(t, "f", local, false), stage: true, want: []string{"the line broke"},
			read: func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 2<<20), broken{}) }},
		"archive cut off": {file: entry(t, "f", dir, false), stage: true, want: []string{"unexpected EOF"},
			read: func(r io.Reader) io.Reader { return io.LimitReader(r, 1<<20) }},
		"leads out":  {file: of(outside), want: []string{`"../outside" leads out of it`}},
		"links away": {file: of(link), want: []string{`"link" is neither a file nor a directory`}},
	} {
		t.Run(name, func(t *testing.T) {
			write0(t, m, "/data/grows", "grows")
			growing, _ := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
				"hdfs": func(string) (filesystem.FileSystem, error) { return grows{m, t}, nil }}})
			if name != "changed" {
				growing = set
			}
			jm := newJobManager()
			jm.content[sha256.Sum256(outside)], jm.content[sha256.Sum256(link)] = outside, link
			f := proto.CloneOf(test.file)
			if test.stage {
				if err := Stage(t.Context(), []*graph.CachedFile{f}, jm.put); err != nil {
					t.Fatal(err)
				}
			}
			jm.read = test.read
			job := t.TempDir() + "/job"
			paths, err := Source{Files: growing, JobManager: jm.open}.Fetch(t.Context(), job, []*graph.CachedFile{f})
			if err == nil {
				t.Fatalf("fetched %v", paths)
			}
			for _, want := range append(test.want, `cached file "f"`, "main.go:7") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error doesn't say %q: %v", want, err)
				}
			}
			if left := tree(t, job); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the line broke") }

// grows is a file system whose files grow when they have been opened.
type grows struct {
	*fstest.Memory
	t *testing.T
}

func (g grows) Open(ctx context.Context, p string) (filesystem.File, error) {
	f, err := g.Memory.Open(ctx, p)
	write0(g.t, g.Memory, p, "grows more")
	return f, err
}

// TestFetchCancelled: a fetch that is broken off in the middle of a file leaves nothing of it, and the next one begins anew.
func TestFetchCancelled(t *testing.T) {
	dir := t.TempDir()
	jm := newJobManager()
	files := []*graph.CachedFile{entry(t, "f", file(t, dir+"/f", strings.Repeat("x", 3<<20), 0o600), false), entry(t, "d", dir+"/d", false)}
	file(t, dir+"/d/one", strings.Repeat("y", 3<<20), 0o600)
	if err := Stage(t.Context(), files, jm.put); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		ctx, cancel := context.WithCancel(t.Context())
		jm.read = func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 1<<20), cancelling{cancel}, r) }
		job := t.TempDir() + "/job"
		if _, err := (Source{JobManager: jm.open}).Fetch(ctx, job, []*graph.CachedFile{f}); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v", f.GetName(), err)
		}
		if left := tree(t, job); len(left) != 0 {
			t.Errorf("%s: left behind: %v", f.GetName(), left)
		}
		jm.read = nil
		if _, err := (Source{JobManager: jm.open}).Fetch(t.Context(), job, []*graph.CachedFile{f}); err != nil {
			t.Error(err)
		}
	}
}

type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) Read([]byte) (int, error) { c.cancel(); return 0, io.EOF }

func TestStageFails(t *testing.T) {
	dir := t.TempDir()
	f := entry(t, "f", file(t, dir+"/f", "x", 0o600), false)
	err := Stage(t.Context(), []*graph.CachedFile{f}, nil)
	for _, want := range []string{`cached file "f" (registered at main.go:7)`, dir + "/f", "hdfs:", "-Dpipeline.cached-files"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a local file where none can be taken: %q isn't in %v", want, err)
		}
	}
	err = Stage(t.Context(), []*graph.CachedFile{entry(t, "g", dir+"/gone", false)}, newJobManager().put)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir+"/gone") {
		t.Errorf("a file that isn't there: %v", err)
	}
	if err := Stage(t.Context(), []*graph.CachedFile{entry(t, "n", "/dev/null", false)}, newJobManager().put); err == nil {
		t.Error("a device was taken")
	}
	lost := errors.New("the cluster is gone")
	err = Stage(t.Context(), []*graph.CachedFile{f}, func(context.Context, string) (artifact.Artifact, error) { return artifact.Artifact{}, lost })
	if !errors.Is(err, lost) || Staged([]*graph.CachedFile{f}) {
		t.Errorf("an upload that failed: %v", err)
	}
}

func TestValidate(t *testing.T) {
	good := func() *graph.CachedFile { return &graph.CachedFile{Name: "a", Uri: "hdfs:///x", FileName: "x"} }
	if err := Validate([]*graph.CachedFile{good()}); err != nil {
		t.Error(err)
	}
	for name, files := range map[string][]*graph.CachedFile{
		"no name":    {{Uri: "hdfs:///x", FileName: "x"}},
		"twice":      {good(), good()},
		"no source":  {{Name: "a", FileName: "x"}},
		"short hash": {{Name: "a", FileName: "x", Sha256: []byte{1}}},
		"size":       {{Name: "a", FileName: "x", Sha256: make([]byte, 32), Size: -1}},
		"no copy":    {{Name: "a", Uri: "hdfs:///x"}},
		"elsewhere":  {{Name: "a", Uri: "hdfs:///x", FileName: "../x"}},
		"parent":     {{Name: "a", Uri: "hdfs:///x", FileName: ".."}},
	} {
		if Validate(files) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
