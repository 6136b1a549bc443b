package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
)

const staging = "/user/alice/.weft"

// program writes a local file to upload.
func program(t *testing.T, content string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(p, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t *testing.T, c *Cache, p string) (Artifact, bool) {
	t.Helper()
	a, uploaded, err := c.Put(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a, uploaded
}

func listing(t *testing.T, f filesystem.FileSystem, dir string) string {
	t.Helper()
	infos, err := f.List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range infos {
		names = append(names, i.Name())
	}
	return strings.Join(names, " ")
}

func TestPut(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (filesystem.FileSystem, string){
		"memory": func(*testing.T) (filesystem.FileSystem, string) { return fstest.NewMemory("alice"), staging },
		"file": func(t *testing.T) (filesystem.FileSystem, string) {
			return filesystem.Local{}, t.TempDir() + "/staging"
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, dir := open(t)
			c := NewCache(CacheConfig{FS: f, Staging: dir})
			content := strings.Repeat("binary", 1<<20)
			p := program(t, content)
			var done, total int64
			a, uploaded, err := c.Put(t.Context(), p, func(d, n int64) {
				if d < done {
					t.Errorf("progress went from %d to %d", done, d)
				}
				done, total = d, n
			})
			if err != nil || !uploaded || done != int64(len(content)) || total != done {
				t.Fatalf("first: %v, uploaded %v, progress %d of %d", err, uploaded, done, total)
			}
			i, err := f.Stat(t.Context(), strings.TrimPrefix(a.URI, f.URI("")))
			if err != nil || i.Size != a.Size || i.MTime != a.MTime || a.Size != int64(len(content)) || i.Mode != 0o400 {
				t.Fatalf("artifact %+v, file %+v, %v", a, i, err)
			}
			b, uploaded := put(t, c, program(t, content))
			if uploaded || a != b {
				t.Fatalf("second: uploaded %v, %+v, want %+v", uploaded, b, a)
			}
			got, err := filesystem.ReadFile(t.Context(), f, i.Path, 1<<30)
			if err != nil || string(got) != content {
				t.Fatalf("content differs: %v", err)
			}
			if l := listing(t, f, dir+"/cache"); l != a.SHA256.String() {
				t.Fatalf("the cache has %s", l)
			}
		})
	}
}

func TestPutPublic(t *testing.T) {
	m := fstest.NewMemory("alice")
	a, _ := put(t, NewCache(CacheConfig{FS: m, Staging: staging, Public: true}), program(t, "x"))
	p := strings.TrimPrefix(a.URI, "memory://")
	for _, c := range []struct {
		path string
		want fs.FileMode
	}{{p, 0o444}, {path.Dir(p), 0o755}, {staging + "/cache", 0o711}, {staging, 0o711}} {
		if i, err := m.Stat(t.Context(), c.path); err != nil || i.Mode.Perm() != c.want {
			t.Errorf("%s: mode %v, want %v (%v)", c.path, i.Mode, c.want, err)
		}
	}
}

// TestUntrustedEntry plants what the submitter must not run.
func TestUntrustedEntry(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(m *fstest.Memory, entry string) error
	}{
		{"file of another owner", func(m *fstest.Memory, e string) error { return m.Chown(e+"/artifact", "mallory") }},
		{"directory of another owner", func(m *fstest.Memory, e string) error { return m.Chown(e, "mallory") }},
		{"file others can write", func(m *fstest.Memory, e string) error { return m.Chmod(context.Background(), e+"/artifact", 0o646) }},
		{"file the group can write", func(m *fstest.Memory, e string) error { return m.Chmod(context.Background(), e+"/artifact", 0o464) }},
		{"directory others can write", func(m *fstest.Memory, e string) error { return m.Chmod(context.Background(), e, 0o777) }},
		{"sticky directory", func(m *fstest.Memory, e string) error {
			return m.Chmod(context.Background(), e, fs.ModeSticky|0o777)
		}},
		{"another size", func(m *fstest.Memory, e string) error {
			return filesystem.WriteFile(context.Background(), m, e+"/artifact", []byte("evil!"), filesystem.CreateOptions{Overwrite: true})
		}},
		{"no file", func(m *fstest.Memory, e string) error { return m.Remove(context.Background(), e+"/artifact", false) }},
		{"a file in the place of the directory", func(m *fstest.Memory, e string) error {
			if err := m.Remove(context.Background(), e, true); err != nil {
				return err
			}
			return filesystem.WriteFile(context.Background(), m.As("mallory"), e, []byte("evil"), filesystem.CreateOptions{})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := fstest.NewMemory("alice")
			cache := NewCache(CacheConfig{FS: m, Staging: staging})
			p := program(t, "good")
			first, _ := put(t, cache, p)
			entry := path.Dir(strings.TrimPrefix(first.URI, "memory://"))
			if err := c.plant(m, entry); err != nil {
				t.Fatal(err)
			}
			second, uploaded := put(t, cache, p)
			if !uploaded || second.MTime == first.MTime {
				t.Fatalf("the planted file is used: %+v", second)
			}
			got, err := filesystem.ReadFile(t.Context(), m, entry+"/artifact", 100)
			i, _ := m.Stat(t.Context(), entry+"/artifact")
			if err != nil || string(got) != "good" || i.Owner != "alice" {
				t.Fatalf("the cache has %q of %s, %v", got, i.Owner, err)
			}
			if l := listing(t, m, staging+"/cache"); l != first.SHA256.String() {
				t.Fatalf("the cache has %s", l)
			}
		})
	}
}

func TestUntrustedStaging(t *testing.T) {
	for _, dir := range []string{staging, staging + "/cache"} {
		m := fstest.NewMemory("alice")
		cache := NewCache(CacheConfig{FS: m, Staging: staging})
		p := program(t, "good")
		put(t, cache, p)
		if err := m.Chmod(t.Context(), dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, _, err := cache.Put(t.Context(), p, nil); !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s can be written by all: got %v, want %v", dir, err, ErrUntrusted)
		}
		if err := m.Chmod(t.Context(), dir, 0o711); err != nil {
			t.Fatal(err)
		}
		if err := m.Chown(dir, "mallory"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := cache.Put(t.Context(), p, nil); !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), "mallory") {
			t.Errorf("%s belongs to mallory: got %v, want %v", dir, err, ErrUntrusted)
		}
	}
}

func TestTrustedOwner(t *testing.T) {
	m := fstest.NewMemory("admin")
	p := program(t, "shared")
	a, _ := put(t, NewCache(CacheConfig{FS: m, Staging: "/apps/weft", Public: true}), p)
	b, uploaded := put(t, NewCache(CacheConfig{FS: m.As("alice"), Staging: "/apps/weft", TrustedOwners: []string{"admin"}}), p)
	if uploaded || a != b {
		t.Fatalf("uploaded %v, %+v, want %+v", uploaded, b, a)
	}
	if _, _, err := NewCache(CacheConfig{FS: m.As("bob"), Staging: "/apps/weft"}).Put(t.Context(), p, nil); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("got %v, want %v", err, ErrUntrusted)
	}
}

// TestConcurrentPut lets clients upload the same content at once: there is one file, and its mtime never changes.
func TestConcurrentPut(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (filesystem.FileSystem, string){
		"memory": func(*testing.T) (filesystem.FileSystem, string) { return fstest.NewMemory("alice"), staging },
		"file": func(t *testing.T) (filesystem.FileSystem, string) {
			return filesystem.Local{}, t.TempDir() + "/staging"
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, dir := open(t)
			p := program(t, strings.Repeat("x", 3<<20))
			var wg sync.WaitGroup
			var uploads atomic.Int32
			artifacts := make([]Artifact, 8)
			for i := range artifacts {
				wg.Go(func() {
					a, uploaded, err := NewCache(CacheConfig{FS: f, Staging: dir}).Put(t.Context(), p, nil)
					if err != nil {
						t.Error(err)
					}
					if uploaded {
						uploads.Add(1)
					}
					artifacts[i] = a
				})
			}
			wg.Wait()
			for _, a := range artifacts {
				if a != artifacts[0] {
					t.Fatalf("clients got different artifacts: %+v", artifacts)
				}
			}
			if uploads.Load() != 1 {
				t.Fatalf("%d uploads won", uploads.Load())
			}
			if l := listing(t, f, dir+"/cache"); l != artifacts[0].SHA256.String() {
				t.Fatalf("the cache has %s", l)
			}
		})
	}
}

// TestPutFaults lets each call fail in turn, before and after its effect, and die there: no half upload is ever used,
// and the next client succeeds.
func TestPutFaults(t *testing.T) {
	content := strings.Repeat("abc", 400<<10)
	p := program(t, content)
	for _, kind := range []string{"crash before", "crash after", "fault before", "lost answer"} {
		for n, hit := 1, true; hit; n++ {
			m := fstest.NewMemory("alice")
			faulty, ctl := fstest.NewFaulty(m)
			var hook func(fstest.Call) fstest.Fault
			switch kind {
			case "crash before", "crash after":
				hook = fstest.CrashAt(n, kind == "crash after")
			case "fault before":
				hook = fstest.FailNth(n, fstest.Fault{Before: filesystem.ErrUnavailable})
			case "lost answer":
				hook = fstest.FailNth(n, fstest.Fault{After: fstest.ErrInjected})
			}
			hit = false
			ctl.SetHook(func(c fstest.Call) fstest.Fault {
				f := hook(c)
				hit = hit || f != (fstest.Fault{})
				return f
			})
			_, _, err := NewCache(CacheConfig{FS: faulty, Staging: staging}).Put(t.Context(), p, nil)
			if kind == "lost answer" && err != nil && ctl.Calls() > 4 { // the first calls prepare directories, outside of the loop
				t.Errorf("%s %d: %v", kind, n, err)
			}
			a, _, err := NewCache(CacheConfig{FS: m, Staging: staging}).Put(t.Context(), p, nil)
			if err != nil {
				t.Fatalf("%s %d: the next client: %v", kind, n, err)
			}
			got, err := filesystem.ReadFile(t.Context(), m, strings.TrimPrefix(a.URI, "memory://"), 1<<30)
			if err != nil || string(got) != content {
				t.Fatalf("%s %d: the cache has %d bytes, want %d (%v)", kind, n, len(got), len(content), err)
			}
		}
	}
}

func TestPutDiskFull(t *testing.T) {
	m := fstest.NewMemory("alice")
	faulty, ctl := fstest.NewFaulty(m)
	full := filesystem.WithKind(filesystem.ErrNoSpace, errors.New("no DataNode has room"))
	ctl.SetHook(func(c fstest.Call) fstest.Fault {
		if c.Op == fstest.OpWrite {
			return fstest.Fault{Before: full}
		}
		return fstest.Fault{}
	})
	_, _, err := NewCache(CacheConfig{FS: faulty, Staging: staging}).Put(t.Context(), program(t, "x"), nil)
	if !errors.Is(err, filesystem.ErrNoSpace) {
		t.Fatalf("got %v, want %v", err, filesystem.ErrNoSpace)
	}
	if l := listing(t, m, staging+"/cache"); l != "" {
		t.Fatalf("the cache has %s", l)
	}
}

// TestPutChanged rewrites the file between hashing and uploading, as a build does.
func TestPutChanged(t *testing.T) {
	m := fstest.NewMemory("alice")
	faulty, ctl := fstest.NewFaulty(m)
	p := program(t, "before")
	ctl.SetHook(func(c fstest.Call) fstest.Fault {
		if c.Op == fstest.OpCreate && path.Base(c.Path) == fileName {
			if err := os.WriteFile(p, []byte("later!"), 0o755); err != nil {
				t.Error(err)
			}
		}
		return fstest.Fault{}
	})
	if _, _, err := NewCache(CacheConfig{FS: faulty, Staging: staging}).Put(t.Context(), p, nil); !errors.Is(err, ErrChanged) {
		t.Fatalf("got %v, want %v", err, ErrChanged)
	}
	if l := listing(t, m, staging+"/cache"); l != "" {
		t.Fatalf("the cache has %s", l)
	}
}

func TestPutRefusesDirectory(t *testing.T) {
	if _, _, err := NewCache(CacheConfig{FS: fstest.NewMemory("alice"), Staging: staging}).Put(t.Context(), t.TempDir(), nil); err == nil {
		t.Fatal("a directory was uploaded")
	}
}

// world is a cache whose clock the test moves.
type world struct {
	m     *fstest.Memory
	cache *Cache
	now   time.Time
}

func newWorld() *world {
	w := &world{m: fstest.NewMemory("alice"), now: time.Now()}
	w.cache = NewCache(CacheConfig{FS: w.m, Staging: staging, Now: func() time.Time { return w.now }})
	return w
}

func TestPrune(t *testing.T) {
	w := newWorld()
	old, used := program(t, strings.Repeat("o", 100)), program(t, strings.Repeat("u", 200))
	put(t, w.cache, old)
	u, _ := put(t, w.cache, used)
	w.now = w.now.AddDate(0, 0, 20)
	again, uploaded := put(t, w.cache, used)
	if uploaded || again != u {
		t.Fatalf("uploaded %v, %+v, want %+v: recording a use touched the file", uploaded, again, u)
	}
	w.now = w.now.AddDate(0, 0, 5)
	if n, freed, err := w.cache.Prune(t.Context(), 30*24*time.Hour, 0); n != 0 || freed != 0 || err != nil {
		t.Fatalf("nothing is 30 days old, but %d, %d, %v", n, freed, err)
	}
	if n, freed, err := w.cache.Prune(t.Context(), 14*24*time.Hour, 0); n != 1 || freed != 100 || err != nil {
		t.Fatalf("removed %d, %d bytes, %v; want the one not used for 25 days", n, freed, err)
	}
	if l := listing(t, w.m, staging+"/cache"); l != u.SHA256.String() {
		t.Fatalf("the cache has %s", l)
	}
}

func TestPruneBySize(t *testing.T) {
	w := newWorld()
	var arts []Artifact
	for i := range 4 {
		a, _ := put(t, w.cache, program(t, fmt.Sprintf("%d%s", i, bytes.Repeat([]byte("x"), 99))))
		arts = append(arts, a)
		w.now = w.now.AddDate(0, 0, 1)
	}
	// Ages are now 4, 3, 2 and 1 days; the last two are protected.
	if n, freed, err := w.cache.Prune(t.Context(), 0, 150); n != 2 || freed != 200 || err != nil {
		t.Fatalf("removed %d, %d bytes, %v", n, freed, err)
	}
	for i, a := range arts {
		there, err := filesystem.Exists(t.Context(), w.m, strings.TrimPrefix(a.URI, "memory://"))
		if err != nil || there != (i >= 2) {
			t.Errorf("artifact %d: there %v, %v", i, there, err)
		}
	}
}

// TestPruneAgainstUse submits while Prune has already decided: the file is uploaded again or comes back, and the
// submitter's artifact is there in the end.
func TestPruneAgainstUse(t *testing.T) {
	for n, hit := 1, true; hit; n++ {
		w := newWorld()
		p := program(t, "x")
		put(t, w.cache, p)
		w.now = w.now.AddDate(0, 0, 60)
		faulty, ctl := fstest.NewFaulty(w.m)
		pruner := NewCache(CacheConfig{FS: faulty, Staging: staging, Now: func() time.Time { return w.now }})
		var a Artifact
		hit = false
		ctl.SetHook(func(c fstest.Call) fstest.Fault {
			if c.N == n {
				hit = true
				a, _ = put(t, w.cache, p)
			}
			return fstest.Fault{}
		})
		if _, _, err := pruner.Prune(t.Context(), 24*time.Hour, 0); err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
		if !hit {
			break
		}
		i, err := w.m.Stat(t.Context(), strings.TrimPrefix(a.URI, "memory://"))
		if err != nil || i.MTime != a.MTime {
			t.Fatalf("call %d: the submitted artifact has %+v, %v, want mtime %d", n, i, err, a.MTime)
		}
	}
}

func TestPruneRemovesBrokenUploads(t *testing.T) {
	w := newWorld()
	faulty, ctl := fstest.NewFaulty(w.m)
	ctl.SetHook(func(c fstest.Call) fstest.Fault {
		if c.Op == fstest.OpWrite || c.Op == fstest.OpRemove {
			return fstest.Fault{Before: fstest.ErrInjected}
		}
		return fstest.Fault{}
	})
	if _, _, err := NewCache(CacheConfig{FS: faulty, Staging: staging}).Put(t.Context(), program(t, "x"), nil); err == nil {
		t.Fatal("the upload succeeded")
	}
	if l := listing(t, w.m, staging+"/cache"); !strings.HasPrefix(l, uploadPrefix) {
		t.Fatalf("the cache has %q: the test doesn't test what it says", l)
	}
	w.now = w.now.AddDate(0, 0, 7)
	if _, _, err := w.cache.Prune(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if l := listing(t, w.m, staging+"/cache"); l != "" {
		t.Fatalf("the cache has %s", l)
	}
}
