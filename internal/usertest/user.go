//go:build hadoop

package usertest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
)

// User is somebody who uses weft: a name on Hadoop, a home there and one here.
type User struct {
	T       testing.TB
	Cluster *hadooptest.Cluster
	Name    string
	// Dir is the user's directory here: their home, where commands run, and for temporary files.
	Dir string
	// Env is all of the environment of the commands that are started from now on. Empty variables are left out.
	Env map[string]string
	// CheckStaging is called at the end of a test that has passed, when the user's applications have ended and nothing of them
	// runs any more. Unless replaced it is AwaitNoStaging.
	CheckStaging func()
}

var userNumber atomic.Int64

// NewUser makes a user. At the test's end all of their applications must have ended or be about to, nothing of them may be
// alive, nor anything be left in staging, which is checked if the test has passed. Then what is alive is killed, and the
// home on HDFS removed.
func NewUser(t testing.TB, c *hadooptest.Cluster) *User {
	t.Helper()
	u := &User{T: t, Cluster: c, Dir: t.TempDir(), Name: fmt.Sprintf("user-%d-%d-%d", os.Getpid(), time.Now().Unix()%100000, userNumber.Add(1))}
	u.Env = map[string]string{"PATH": os.Getenv("PATH"), "HOME": u.Dir, "TMPDIR": u.Dir, "HADOOP_CONF_DIR": c.ConfDir,
		"HADOOP_USER_NAME": u.Name, "LANG": "C.UTF-8"}
	u.CheckStaging = u.AwaitNoStaging
	t.Cleanup(u.end)
	return u
}

// Home is the user's home on HDFS.
func (u *User) Home() string { return "/user/" + u.Name }

// Staging is the user's staging directory on HDFS.
func (u *User) Staging() string { return u.Home() + "/.weft" }

func (u *User) end() {
	t, c := u.T, u.Cluster
	apps := u.Apps()
	if !t.Failed() {
		for _, app := range apps {
			c.AwaitEnd(t, app.ID, 30*time.Second)
			c.AwaitNoProcesses(t, app.ID, time.Minute)
			hadooptest.Await(t, time.Minute, "YARN counts no container of "+app.ID, func() (bool, string) {
				report := c.App(t, app.ID)
				return report.Containers <= 0, report.String()
			})
		}
		u.CheckStaging()
	}
	for _, app := range apps {
		c.KillApp(t, app.ID)
	}
	if _, err := c.WebHDFS(http.MethodDelete, u.Home(), url.Values{"op": {"DELETE"}, "recursive": {"true"}}); err != nil {
		t.Errorf("remove the user's home: %v", err)
	}
}

// Apps are the user's applications, in the order of their submission.
func (u *User) Apps() []hadooptest.App {
	u.T.Helper()
	all, err := u.Cluster.LookupApps(context.Background()) // in cleanups, too
	if err != nil {
		u.T.Fatalf("list applications: %v", err)
	}
	all = slices.DeleteFunc(all, func(a hadooptest.App) bool { return a.User != u.Name })
	slices.SortFunc(all, func(a, b hadooptest.App) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Staged are the paths in the staging directory, those in the cache left out.
func (u *User) Staged() []string {
	u.T.Helper()
	var left []string
	for _, f := range u.Cluster.List(u.T, u.Staging()) {
		if f.Name == "cache" {
			continue
		}
		left = append(left, f.Path)
		left = append(left, u.Cluster.Walk(u.T, f.Path)...)
	}
	return left
}

// AwaitNoStaging waits until the staging directory holds nothing but the cache.
func (u *User) AwaitNoStaging() {
	u.T.Helper()
	hadooptest.Await(u.T, 20*time.Second, "staging is empty but for the cache", func() (bool, string) {
		left := u.Staged()
		return len(left) == 0, fmt.Sprint(left)
	})
}

// YARNSays waits until YARN reports an application's end, and checks the final status and what the diagnostics must say.
func (u *User) YARNSays(id, final string, diagnostics ...string) hadooptest.App {
	u.T.Helper()
	app := u.Cluster.AwaitEnd(u.T, id, Patience)
	if app.FinalStatus != final {
		u.T.Errorf("YARN's final status isn't %s: %v", final, app)
	}
	for _, text := range diagnostics {
		if !strings.Contains(app.Diagnostics, text) {
			u.T.Errorf("YARN's diagnostics don't say %q: %v", text, app)
		}
	}
	return app
}
