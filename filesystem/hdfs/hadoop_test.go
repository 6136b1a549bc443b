//go:build hadoop

package hdfs_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/internal/hadooptest"
)

// open returns a file system of the shared cluster.
func open(t *testing.T, c *hadooptest.Cluster, user string) *hdfs.FS {
	t.Helper()
	return openWith(t, hdfs.Config{Site: map[string]string{"fs.defaultFS": c.URI("/"), "dfs.replication": "1"}, User: user})
}

func openWith(t *testing.T, cfg hdfs.Config) *hdfs.FS {
	t.Helper()
	f, err := hdfs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestConformance(t *testing.T) {
	c := hadooptest.Require(t)
	t.Run("suite", func(t *testing.T) {
		fstest.Run(t, func(t *testing.T) (filesystem.FileSystem, string) { return open(t, c, "alice"), c.TestDir(t) })
	})
	noGoroutines(t)
}

func TestPermissionDenied(t *testing.T) {
	c := hadooptest.Require(t)
	alice, bob := open(t, c, "alice"), open(t, c, "bob")
	dir := c.TestDir(t) + "/private"
	if err := alice.MkdirAll(t.Context(), dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, statErr := bob.Stat(t.Context(), dir+"/f")
	_, createErr := bob.Create(t.Context(), dir+"/f", filesystem.CreateOptions{})
	for _, err := range []error{
		statErr, createErr,
		bob.MkdirAll(t.Context(), dir+"/d", 0o755),
		bob.Rename(t.Context(), dir+"/f", dir+"/g", false),
		bob.Remove(t.Context(), dir+"/f", true),
		bob.Chmod(t.Context(), dir, 0o777),
	} {
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "bob") {
			t.Errorf("got %v, want one that is %v and names bob", err, fs.ErrPermission)
		}
	}
}

// TestLostAnswers drops the answer to the nth call of a method, and wants the call to have its effect exactly once.
func TestLostAnswers(t *testing.T) {
	c := hadooptest.Require(t)
	for _, method := range []string{"getFileInfo", "rename2", "mkdirs", "delete", "setPermission", "getListing", "getBlockLocations"} {
		t.Run(method, func(t *testing.T) {
			p := newProxy(t, c.NameNode)
			f := openWith(t, hdfs.Config{Authority: p.addr(), User: "alice"})
			dir := c.TestDir(t)
			ctx := t.Context()
			if err := filesystem.WriteFile(ctx, f, dir+"/f", []byte("content"), filesystem.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			p.dropAnswerTo(method)
			for _, err := range []error{
				f.MkdirAll(ctx, dir+"/d", 0o755),
				f.Rename(ctx, dir+"/f", dir+"/d/g", false),
				f.Chmod(ctx, dir+"/d/g", 0o600),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			infos, err := f.List(ctx, dir+"/d")
			if err != nil || len(infos) != 1 || infos[0].Name() != "g" || infos[0].Mode != 0o600 {
				t.Errorf("list: got %v, %v", infos, err)
			}
			if b, err := filesystem.ReadFile(ctx, f, dir+"/d/g", 100); string(b) != "content" || err != nil {
				t.Errorf("read: got %q, %v", b, err)
			}
			if err := f.Remove(ctx, dir+"/d", true); err != nil {
				t.Error(err)
			}
			if _, err := f.Stat(ctx, dir+"/d"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("stat: got %v, want %v", err, fs.ErrNotExist)
			}
			if p.dropped() != 1 {
				t.Errorf("%d answers were dropped, want 1: the test doesn't test what it says", p.dropped())
			}
		})
	}
	noGoroutines(t)
}

// TestNameNodeRestart kills the NameNode under running calls and starts it again.
func TestNameNodeRestart(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	f := openWith(t, hdfs.Config{Site: map[string]string{"fs.defaultFS": c.URI("/"), "dfs.replication": "1"}, User: "alice", RetryWindow: 2 * time.Minute})
	dir := c.TestDir(t)
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	if err := filesystem.WriteFile(t.Context(), f, dir+"/before", data, filesystem.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(t.Context(), dir+"/before")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Kill(t, "namenode")
	impatient := openWith(t, hdfs.Config{Site: map[string]string{"fs.defaultFS": c.URI("/")}, User: "alice"})
	if _, err := impatient.Stat(t.Context(), "/"); !errors.Is(err, filesystem.ErrUnavailable) || !strings.Contains(err.Error(), "is HDFS running?") {
		t.Errorf("first call without a NameNode: got %v, want %v", err, filesystem.ErrUnavailable)
	}
	done := make(chan error, 3)
	go func() { _, err := f.Stat(t.Context(), dir+"/before"); done <- err }()
	go func() { done <- f.Rename(t.Context(), dir+"/before", dir+"/after", false) }()
	go func() {
		done <- filesystem.WriteFile(t.Context(), f, dir+"/new", data, filesystem.CreateOptions{Overwrite: true})
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := f.Stat(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call with a deadline: got %v, want %v", err, context.DeadlineExceeded)
	}
	c.Start(t, "namenode")
	for range 3 {
		if err := <-done; err != nil && !errors.Is(err, fs.ErrNotExist) { // stat and rename of one file
			t.Error(err)
		}
	}
	for _, name := range []string{"/after", "/new"} {
		if b, err := filesystem.ReadFile(t.Context(), f, dir+name, 10<<20); !bytes.Equal(b, data) || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	f.Close()
	impatient.Close()
	noGoroutines(t)
}

// TestDataNodeDies kills the only DataNode in the middle of a file: the writer fails, leaves no goroutine, and the file
// can be written again once a DataNode is there.
func TestDataNodeDies(t *testing.T) {
	c := hadooptest.RequireExclusive(t)
	f := open(t, c, "alice")
	dir := c.TestDir(t)
	w, err := f.Create(t.Context(), dir+"/f", filesystem.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	if _, err := w.Write(chunk); err != nil {
		t.Fatal(err)
	}
	c.Kill(t, "datanode")
	for range 20 {
		if _, err = w.Write(chunk); err != nil {
			break
		}
	}
	if cerr := w.Close(); cerr == nil || !filesystem.Transient(cerr) {
		t.Errorf("close without a DataNode: got %v (write: %v), want a transient error", cerr, err)
	}
	c.Start(t, "datanode")
	c.AwaitReady(t, 2*time.Minute)
	if err := filesystem.WriteFile(t.Context(), f, dir+"/f", chunk, filesystem.CreateOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	noGoroutines(t)
}
