package hadooptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/user"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var notForPaths = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// TestDir creates an HDFS directory for the test alone, writable by every user, and returns its path (no scheme, no host).
// It is removed when the test has passed.
func (c *Cluster) TestDir(t testing.TB) string {
	t.Helper()
	dir := fmt.Sprintf("/tmp/test-%s-%x", notForPaths.ReplaceAllString(t.Name(), "-"), time.Now().UnixNano())
	c.MkdirAll(t, dir, 0o777)
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		query := url.Values{"op": {"DELETE"}, "recursive": {"true"}}
		if _, err := c.WebHDFS(http.MethodDelete, dir, query); err != nil {
			t.Errorf("remove the test's HDFS directory: %v", err)
		}
	})
	return dir
}

// URI returns a path as hdfs://host:port/path.
func (c *Cluster) URI(name string) string { return "hdfs://" + c.NameNode + name }

// MkdirAll creates an HDFS directory with the permission bits, and what is missing above it. This, and all other access to
// HDFS here, is through WebHDFS as the superuser: a check that is independent of the product's own client.
func (c *Cluster) MkdirAll(t testing.TB, dir string, permission uint32) {
	t.Helper()
	query := url.Values{"op": {"MKDIRS"}, "permission": {fmt.Sprintf("%o", permission)}}
	if _, err := c.WebHDFS(http.MethodPut, dir, query); err != nil {
		t.Fatalf("create the HDFS directory %s: %v", dir, err)
	}
}

// WriteFile creates or replaces an HDFS file.
func (c *Cluster) WriteFile(t testing.TB, name string, data []byte) {
	t.Helper()
	query := url.Values{"op": {"CREATE"}, "overwrite": {"true"}, "noredirect": {"true"}}
	answer, err := c.WebHDFS(http.MethodPut, name, query)
	var where struct{ Location string }
	if err == nil {
		err = json.Unmarshal(answer, &where)
	}
	if err == nil {
		_, err = c.do(context.Background(), http.MethodPut, where.Location, "application/octet-stream", bytes.NewReader(data))
	}
	if err != nil {
		t.Fatalf("write the HDFS file %s: %v", name, err)
	}
}

// ReadFile returns what an HDFS file holds, up to 64 MB.
func (c *Cluster) ReadFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := c.WebHDFS(http.MethodGet, name, url.Values{"op": {"OPEN"}})
	if err != nil {
		t.Fatalf("read the HDFS file %s: %v", name, err)
	}
	return data
}

// FileStatus is what the NameNode knows of a file or directory.
type FileStatus struct {
	Path       string `json:"-"` // the whole path
	Name       string `json:"pathSuffix"`
	Type       string `json:"type"` // FILE or DIRECTORY
	Length     int64  `json:"length"`
	Owner      string `json:"owner"`
	Permission string `json:"permission"` // octal
	ModifiedMS int64  `json:"modificationTime"`
}

// List returns what an HDFS directory contains, sorted by name: nothing if there is no such directory.
func (c *Cluster) List(t testing.TB, dir string) []FileStatus {
	t.Helper()
	var listing struct {
		FileStatuses struct {
			FileStatus []FileStatus
		}
	}
	answer, err := c.WebHDFS(http.MethodGet, dir, url.Values{"op": {"LISTSTATUS"}})
	if status := (*StatusError)(nil); errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(answer, &listing)
	}
	if err != nil {
		t.Fatalf("list the HDFS directory %s: %v", dir, err)
	}
	files := listing.FileStatuses.FileStatus
	for i := range files {
		files[i].Path = path.Join(dir, files[i].Name)
	}
	slices.SortFunc(files, func(a, b FileStatus) int { return strings.Compare(a.Name, b.Name) })
	return files
}

// Walk returns the paths of all files (not directories) below an HDFS directory, sorted.
func (c *Cluster) Walk(t testing.TB, dir string) []string {
	t.Helper()
	var paths []string
	for _, file := range c.List(t, dir) {
		if file.Type == "DIRECTORY" {
			paths = append(paths, c.Walk(t, file.Path)...)
		} else {
			paths = append(paths, file.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// WebHDFS asks for an operation on an HDFS path, query's op, as the superuser, and returns the answer, up to 64 MB. The error
// wraps a [StatusError] if the NameNode refuses.
func (c *Cluster) WebHDFS(method, name string, query url.Values) ([]byte, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	query.Set("user.name", me.Username) // whoever brought the cluster up is HDFS's superuser
	target := c.nameNodeWeb + "/webhdfs/v1" + (&url.URL{Path: name}).EscapedPath() + "?" + query.Encode()
	return c.do(context.Background(), method, target, "", nil)
}
