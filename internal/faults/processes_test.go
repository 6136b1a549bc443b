//go:build hadoop

package faults

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/usertest"
)

// jobManagerLog is what an application's JobManager has logged.
func (u *user) jobManagerLog(app string) string {
	u.T.Helper()
	var all strings.Builder
	for path, text := range u.Cluster.ContainerLogs(u.T, app) {
		if strings.HasPrefix(filepath.Base(path), "jobmanager.") {
			all.WriteString(text)
		}
	}
	return all.String()
}

// logged waits until the JobManager has logged a text.
func (u *user) logged(app, text string) {
	u.T.Helper()
	hadooptest.Await(u.T, usertest.Patience, "the JobManager logs "+text, func() (bool, string) {
		log := u.jobManagerLog(app)
		return strings.Contains(log, text), log[max(0, len(log)-2000):]
	})
}

// holds checks that an application has exactly n containers, and that this lasts for some of YARN's heartbeats.
func (u *user) holds(app string, n int) {
	u.T.Helper()
	var since time.Time
	hadooptest.Await(u.T, usertest.Patience, fmt.Sprintf("%s has %d containers, and no more come", app, n), func() (bool, string) {
		report := u.Cluster.App(u.T, app)
		if report.Containers != n {
			since = time.Time{}
		} else if since.IsZero() {
			since = time.Now()
		}
		return !since.IsZero() && time.Since(since) > 3*time.Second, report.String()
	})
}
