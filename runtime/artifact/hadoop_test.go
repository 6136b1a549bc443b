//go:build hadoop

package artifact

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/internal/hadooptest"
)

// TestHDFS uploads from several clients at once to real HDFS and fetches what they uploaded.
func TestHDFS(t *testing.T) {
	c := hadooptest.Require(t)
	open := hdfs.Opener(hdfs.Config{Site: map[string]string{"fs.defaultFS": c.URI("/"), "dfs.replication": "1"}, User: "alice"})
	set, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{"hdfs": open}})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	dir := c.TestDir(t) + "/staging"
	p := program(t, strings.Repeat("x", 3<<20))
	var wg sync.WaitGroup
	var uploads atomic.Int32
	artifacts := make([]Artifact, 4)
	for i := range artifacts {
		wg.Go(func() {
			f, err := open("")
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			a, uploaded, err := NewCache(CacheConfig{FS: f, Staging: dir, Public: true}).Put(t.Context(), p, nil)
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
		if a != artifacts[0] || uploads.Load() != 1 {
			t.Fatalf("%d uploads won; artifacts %+v", uploads.Load(), artifacts)
		}
	}
	got, err := newFetcher(t, t.TempDir()+"/a", FromSet(set)).Fetch(t.Context(), artifacts[0])
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(got); err != nil || fi.Size() != 3<<20 {
		t.Fatalf("got %v, %v", fi, err)
	}
}
