//go:build hadoop

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
)

// testUser is somebody who uses weft: a name on Hadoop, a home there and one here.
type testUser struct {
	t       testing.TB
	c       *hadooptest.Cluster
	name    string
	dir     string // here: home, temporary files, the properties file
	confDir string // HADOOP_CONF_DIR
	// keepsStaging says that what is in staging at the end is meant to be there.
	keepsStaging bool
}

var userNumber atomic.Int64

// newUser makes a user. At the test's end nothing of theirs may be alive or left, which is checked if the test has passed.
func newUser(t testing.TB, c *hadooptest.Cluster) *testUser {
	t.Helper()
	name := fmt.Sprintf("e2e-%d-%d-%d", os.Getpid(), time.Now().Unix()%100000, userNumber.Add(1))
	u := &testUser{t: t, c: c, name: name, dir: t.TempDir(), confDir: c.ConfDir}
	t.Cleanup(u.end)
	return u
}

// home is the user's home on HDFS, staging their staging directory.
func (u *testUser) home() string    { return "/user/" + u.name }
func (u *testUser) staging() string { return u.home() + "/.weft" }

func (u *testUser) end() {
	t := u.t
	apps := u.apps()
	if !t.Failed() {
		for _, app := range apps {
			u.c.AwaitEnd(t, app.ID, 30*time.Second)
			u.c.AwaitNoProcesses(t, app.ID, 30*time.Second)
		}
		if !u.keepsStaging {
			u.awaitNoStaging()
		}
	}
	for _, app := range apps {
		u.c.KillApp(t, app.ID)
	}
	query := url.Values{"op": {"DELETE"}, "recursive": {"true"}}
	if _, err := u.webHDFS(http.MethodDelete, u.home(), query); err != nil {
		t.Errorf("remove the user's home: %v", err)
	}
}

// apps are the user's applications, in the order of their submission.
func (u *testUser) apps() []hadooptest.App {
	u.t.Helper()
	all, err := u.c.LookupApps(u.t.Context())
	if u.t.Context().Err() != nil { // in a cleanup
		all, err = u.c.LookupApps(noContext())
	}
	if err != nil {
		u.t.Fatalf("list applications: %v", err)
	}
	all = slices.DeleteFunc(all, func(a hadooptest.App) bool { return a.User != u.name })
	slices.SortFunc(all, func(a, b hadooptest.App) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// awaitNoStaging waits until the staging directory holds nothing but the cache.
func (u *testUser) awaitNoStaging() {
	u.t.Helper()
	hadooptest.Await(u.t, 15*time.Second, "staging is empty but for the cache", func() (bool, string) {
		left := u.staged()
		return len(left) == 0, fmt.Sprint(left)
	})
}

// staged are the paths in the staging directory, those in the cache left out.
func (u *testUser) staged() []string {
	u.t.Helper()
	var left []string
	for _, f := range u.c.List(u.t, u.staging()) {
		if f.Name == "cache" {
			continue
		}
		left = append(left, f.Path)
		left = append(left, u.c.Walk(u.t, f.Path)...)
	}
	return left
}

// cached are the files of the cache by path, with the time of their last change.
func (u *testUser) cached() map[string]int64 {
	u.t.Helper()
	files := map[string]int64{}
	for _, dir := range u.c.List(u.t, u.staging()+"/cache") {
		for _, f := range u.c.List(u.t, dir.Path) {
			if f.Type == "FILE" && !strings.HasPrefix(f.Name, "used-") { // the marks of use
				files[f.Path] = f.ModifiedMS
			}
		}
	}
	return files
}

// webHDFS does what hadooptest has no method for, as HDFS's superuser.
func (u *testUser) webHDFS(method, name string, query url.Values) ([]byte, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	query.Set("user.name", me.Username)
	web, err := fact(u.c, "namenode-web")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(noContext(), method, web+"/webhdfs/v1"+(&url.URL{Path: name}).EscapedPath()+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, name, response.Status, answer)
	}
	return answer, err
}

// admin is webHDFS for what must not fail.
func (u *testUser) admin(op, name string, more ...string) {
	u.t.Helper()
	query := url.Values{"op": {op}}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	if _, err := u.webHDFS(http.MethodPut, name, query); err != nil {
		u.t.Fatalf("%s: %v", op, err)
	}
}

// fact reads a line of what scripts/hadoop says of the cluster.
func fact(c *hadooptest.Cluster, key string) (string, error) {
	file, err := os.Open(filepath.Join(c.Dir, "cluster"))
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if k, v, _ := strings.Cut(lines.Text(), "="); k == key {
			return v, nil
		}
	}
	return "", fmt.Errorf("%s: no %s", path.Base(file.Name()), key)
}

// events parses the lines of a command's standard output that was asked for JSON.
func events(t testing.TB, out string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(out) {
		e := map[string]any{}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("standard output with --json: %v: %q", err, line)
		}
		all = append(all, e)
	}
	return all
}
