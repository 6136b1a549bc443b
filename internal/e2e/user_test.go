//go:build hadoop

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// testUser is somebody who uses weft.
type testUser struct{ *usertest.User }

func newUser(t testing.TB, c *hadooptest.Cluster) *testUser {
	t.Helper()
	return &testUser{usertest.NewUser(t, c)}
}

// cached are the files of the cache by path, with the time of their last change.
func (u *testUser) cached() map[string]int64 {
	u.T.Helper()
	files := map[string]int64{}
	for _, dir := range u.Cluster.List(u.T, u.Staging()+"/cache") {
		for _, f := range u.Cluster.List(u.T, dir.Path) {
			if f.Type == "FILE" && !strings.HasPrefix(f.Name, "used-") { // the marks of use
				files[f.Path] = f.ModifiedMS
			}
		}
	}
	return files
}

// admin does something to an HDFS path as the superuser; more are the operation's parameters and their values.
func (u *testUser) admin(op, name string, more ...string) {
	u.T.Helper()
	query := url.Values{"op": {op}}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	if _, err := u.Cluster.WebHDFS(http.MethodPut, name, query); err != nil {
		u.T.Fatalf("%s: %v", op, err)
	}
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

func pids(processes []hadooptest.Process) []int {
	var all []int
	for _, p := range processes {
		all = append(all, p.PID)
	}
	slices.Sort(all)
	return all
}
