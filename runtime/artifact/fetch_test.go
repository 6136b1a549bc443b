package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
)

func artifactOf(content string) Artifact {
	return Artifact{SHA256: sha256.Sum256([]byte(content)), Size: int64(len(content))}
}

// giving returns an Opener that gives the nth caller the nth content, and the last one to all others.
func giving(calls *atomic.Int32, contents ...string) Opener {
	return func(context.Context, Artifact) (io.ReadCloser, error) {
		n := min(int(calls.Add(1)), len(contents))
		return io.NopCloser(strings.NewReader(contents[n-1])), nil
	}
}

func newFetcher(t *testing.T, dir string, open Opener) *Fetcher {
	t.Helper()
	f, err := NewFetcher(dir, open)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// files lists what is in a directory but locks.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestFetchExecutes(t *testing.T) {
	const script = "#!/bin/sh\necho hello\n"
	var calls atomic.Int32
	dir := t.TempDir() + "/artifacts"
	f := newFetcher(t, dir, giving(&calls, script))
	for range 3 {
		p, err := f.Fetch(t.Context(), artifactOf(script))
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), p).Output()
		if string(out) != "hello\n" || err != nil {
			t.Fatalf("got %q, %v", out, err)
		}
		if fi, err := os.Stat(p); err != nil || fi.Mode() != 0o500 {
			t.Fatalf("mode %v, %v", fi.Mode(), err)
		}
	}
	if calls.Load() != 1 {
		t.Fatalf("%d downloads", calls.Load())
	}
	// Another process finds it.
	if _, err := newFetcher(t, dir, giving(&calls, script)).Fetch(t.Context(), artifactOf(script)); err != nil || calls.Load() != 1 {
		t.Fatalf("%d downloads, %v", calls.Load(), err)
	}
}

// TestFetchConcurrently lets many goroutines of two Fetchers, as of two processes, fetch and at once execute.
func TestFetchConcurrently(t *testing.T) {
	const script = "#!/bin/sh\nexit 0\n"
	var calls atomic.Int32
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	fetchers := []*Fetcher{newFetcher(t, dir, giving(&calls, script)), newFetcher(t, dir, giving(&calls, script))}
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			p, err := fetchers[i%2].Fetch(t.Context(), artifactOf(script))
			if err != nil {
				t.Error(err)
				return
			}
			if err := exec.CommandContext(t.Context(), p).Run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if calls.Load() != 1 {
		t.Fatalf("%d downloads", calls.Load())
	}
}

func TestFetchCorrupted(t *testing.T) {
	const good = "good content"
	for _, c := range []struct {
		name  string
		gives []string
		want  error
		calls int32
	}{
		{"flipped", []string{"good cOntent"}, ErrChecksum, fetchAttempts},
		{"truncated", []string{good[:5]}, ErrChecksum, fetchAttempts},
		{"empty", []string{""}, ErrChecksum, fetchAttempts},
		{"longer", []string{good + strings.Repeat("x", 3<<20)}, ErrChecksum, fetchAttempts},
		{"good the second time", []string{good[:5], good}, nil, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int32
			dir := t.TempDir() + "/a"
			_, err := newFetcher(t, dir, giving(&calls, c.gives...)).Fetch(t.Context(), artifactOf(good))
			if !errors.Is(err, c.want) || calls.Load() != c.calls {
				t.Fatalf("%d downloads, error %v, want %d and %v", calls.Load(), err, c.calls, c.want)
			}
			if left := files(t, dir); c.want != nil && len(left) > 0 {
				t.Fatalf("left behind: %v", left)
			}
		})
	}
}

// TestFetchDoesNotTrustWhatItFinds damages or replaces an earlier download before another process looks.
func TestFetchDoesNotTrustWhatItFinds(t *testing.T) {
	const good = "good content"
	for name, damage := range map[string]func(p string) error{
		"content": func(p string) error {
			if err := os.Chmod(p, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(p, []byte("evil content"), 0); err != nil {
				return err
			}
			return os.Chmod(p, 0o500)
		},
		"mode":      func(p string) error { return os.Chmod(p, 0o755) },
		"link":      func(p string) error { return errors.Join(os.Rename(p, p+"2"), os.Symlink(p+"2", p)) },
		"directory": func(p string) error { return errors.Join(os.Remove(p), os.MkdirAll(p+"/x", 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			dir := t.TempDir() + "/a"
			p, err := newFetcher(t, dir, giving(&calls, good)).Fetch(t.Context(), artifactOf(good))
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(p); err != nil {
				t.Fatal(err)
			}
			p, err = newFetcher(t, dir, giving(&calls, good)).Fetch(t.Context(), artifactOf(good))
			if err != nil || calls.Load() != 2 {
				t.Fatalf("%d downloads, %v", calls.Load(), err)
			}
			b, err := os.ReadFile(p)
			fi, serr := os.Lstat(p)
			if string(b) != good || errors.Join(err, serr) != nil || fi.Mode() != 0o500 {
				t.Fatalf("got %q, %v, %v", b, fi, err)
			}
		})
	}
}

func TestFetcherRefusesOpenDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []fs.FileMode{0o777, 0o770, fs.ModeSticky | 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := NewFetcher(dir, nil); !errors.Is(err, ErrUntrusted) {
			t.Errorf("mode %v: got %v, want %v", mode, err, ErrUntrusted)
		}
	}
}

func TestFetchFails(t *testing.T) {
	for _, c := range []struct {
		cause error
		calls int32
	}{{fs.ErrNotExist, 1}, {syscall.ENOSPC, 1}, {fs.ErrPermission, 1}, {filesystem.ErrUnavailable, fetchAttempts}} {
		var calls atomic.Int32
		dir := t.TempDir() + "/a"
		f := newFetcher(t, dir, func(context.Context, Artifact) (io.ReadCloser, error) {
			calls.Add(1)
			return nil, c.cause
		})
		a := artifactOf("x")
		a.URI = "hdfs://nn/x"
		_, err := f.Fetch(t.Context(), a)
		if !errors.Is(err, c.cause) || !strings.Contains(err.Error(), a.URI) || calls.Load() != c.calls {
			t.Errorf("%d attempts, error %v, want %d and %v", calls.Load(), err, c.calls, c.cause)
		}
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestFetchCancelled cancels the one who downloads: it alone fails, another takes over.
func TestFetchCancelled(t *testing.T) {
	const good = "good"
	var calls atomic.Int32
	started := make(chan struct{})
	f := newFetcher(t, t.TempDir()+"/a", func(ctx context.Context, _ Artifact) (io.ReadCloser, error) {
		if calls.Add(1) == 1 {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return io.NopCloser(strings.NewReader(good)), nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := f.Fetch(ctx, artifactOf(good)); first <- err }()
	<-started
	go func() { _, err := f.Fetch(t.Context(), artifactOf(good)); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	if err := <-second; err != nil {
		t.Fatal(err)
	}
}

func TestSources(t *testing.T) {
	const content = "from somewhere"
	m := fstest.NewMemory("alice")
	set, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
		"memory": func(string) (filesystem.FileSystem, error) { return m, nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := put(t, NewCache(CacheConfig{FS: m, Staging: staging}), program(t, content))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/artifacts/"+a.SHA256.String() {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, content)
	}))
	defer server.Close()
	at := func(prefix string) func(Artifact) string {
		return func(a Artifact) string { return server.URL + prefix + a.SHA256.String() }
	}
	for name, open := range map[string]Opener{"set": FromSet(set), "http": FromHTTP(server.Client(), at("/artifacts/"))} {
		p, err := newFetcher(t, filepath.Join(t.TempDir(), "a"), open).Fetch(t.Context(), a)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(p); string(b) != content || err != nil {
			t.Fatalf("%s: got %q, %v", name, b, err)
		}
	}
	_, err = newFetcher(t, filepath.Join(t.TempDir(), "a"), FromHTTP(server.Client(), at("/wrong/"))).Fetch(t.Context(), a)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Fatalf("got %v, want one that says 404", err)
	}
}

func TestKey(t *testing.T) {
	k := artifactOf("x").SHA256
	if got, err := ParseKey(k.String()); got != k || err != nil {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "abc", k.String() + "00", strings.Repeat("g", 64)} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}
