package client_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/resttest"
)

// withFiles is a job that has cached files.
func withFiles(paths ...string) *graph.JobGraph {
	g := job("words")
	g.Artifact = &graph.Artifact{Uri: "hdfs:///app"}
	for _, p := range paths {
		g.CachedFiles = append(g.CachedFiles, &graph.CachedFile{Name: filepath.Base(p), Uri: p, FileName: filepath.Base(p), Source: p})
	}
	return g
}

// TestSubmitUploadsCachedFiles: local ones are uploaded once for each content, and named by it; others stay where they are.
func TestSubmitUploadsCachedFiles(t *testing.T) {
	cluster := resttest.Start(t, nil)
	c := newClient(t, cluster.Endpoint, resttest.Token)
	path := executable(t, "first")
	submit := func(content string, uploads int) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
		g := withFiles("file://"+path, "hdfs:///shared")
		id, err := c.Submit(t.Context(), g, "")
		if err != nil {
			t.Fatal(err)
		}
		files, sum := cluster.Jobs.Graph(id).GetCachedFiles(), sha256.Sum256([]byte(content))
		if f := files[0]; f.GetUri() != "" || !bytes.Equal(f.GetSha256(), sum[:]) || f.GetSize() != int64(len(content)) || !f.GetExecutable() {
			t.Errorf("the local file is submitted as %v", f)
		}
		if f := files[1]; f.GetUri() != "hdfs:///shared" || len(f.GetSha256()) != 0 {
			t.Errorf("the shared file is submitted as %v", f)
		}
		if g.CachedFiles[0].GetUri() == "" {
			t.Error("the caller's graph was changed")
		}
		if n := count(cluster.Requests(), "PUT"); n != uploads {
			t.Errorf("%d uploads, want %d", n, uploads)
		}
	}
	submit("first", 1)
	submit("first", 1)
	submit("changed", 2)
	_, err := c.Submit(t.Context(), withFiles("/nowhere/file"), "")
	if err == nil || !strings.Contains(err.Error(), `cached file "file"`) || !strings.Contains(err.Error(), "/nowhere/file") {
		t.Errorf("a file that isn't there: %v", err)
	}
}

// TestSubmitUploadsCachedFilesAgain: a cluster that has lost one by the time of the submission gets it again.
func TestSubmitUploadsCachedFilesAgain(t *testing.T) {
	cluster := forgetful(t)
	c := newClient(t, cluster.Endpoint, resttest.Token)
	if _, err := c.Submit(t.Context(), withFiles(executable(t, "x")), ""); err != nil {
		t.Error(err)
	}
	if n := count(cluster.Requests(), "PUT"); n != 1 {
		t.Errorf("%d uploads", n)
	}
}
