//go:build hadoop

package faults

import (
	"regexp"
	"testing"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

func TestMain(m *testing.M) { usertest.Main(m) }

// user is somebody who uses weft.
type user struct{ *usertest.User }

// newUser makes a user whose applications have ended when the test ends. What a JobManager that was killed has left in
// staging goes with the user's next command, so that is given before staging is looked at.
func newUser(t testing.TB, c *hadooptest.Cluster) *user {
	t.Helper()
	u := usertest.NewUser(t, c)
	u.CheckStaging = func() {
		u.Start("list", "-t", "yarn-application", "-Dyarn.application.id=application_1_0001").Wait()
		u.AwaitNoStaging()
	}
	t.Cleanup(func() {
		for _, app := range u.Apps() {
			if !app.Ended() {
				t.Errorf("left alive: %v", app)
			}
		}
	})
	return &user{u}
}

// submit runs an application in a cluster of its own, with small containers. options are those of weft.
func (u *user) submit(options []string, program ...string) *usertest.Command {
	u.T.Helper()
	args := append([]string{"run-application", "-t", "yarn-application", "-Djobmanager.memory.process.size=256m",
		"-Dtaskmanager.memory.process.size=256m"}, options...)
	return u.Start(append(args, program...)...)
}

// running waits until a command's job runs and returns its id.
func running(w *usertest.Command) string {
	return regexp.MustCompile(`[0-9a-f]{32}`).FindString(w.Says(`job RUNNING job=[0-9a-f]{32}`))
}

// fails checks that an application fails, and that the command and YARN give the reasons, which are regular expressions.
func (u *user) fails(w *usertest.Command, id string, reasons ...string) {
	u.T.Helper()
	for _, reason := range reasons {
		w.Says(reason)
	}
	w.Ended(2)
	app := u.YARNSays(id, "FAILED")
	for _, reason := range reasons {
		if !regexp.MustCompile(reason).MatchString(app.Diagnostics) {
			u.T.Errorf("YARN's diagnostics don't say %q: %v", reason, app)
		}
	}
}
