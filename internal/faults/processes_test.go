//go:build hadoop

package faults

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
)

// The roles of processes in containers.
const (
	jobManager  = "JobManager"
	taskManager = "TaskManager"
	taskHost    = "task host"
)

// processes lists an application's processes of one role.
func (u *user) processes(app, role string) []hadooptest.Process {
	u.t.Helper()
	all := u.c.Processes(u.t, app)
	roles := map[int]string{}
	for _, p := range all {
		switch {
		case !isWeft(p):
		case p.Args[2] == "yarn-taskmanager":
			roles[p.PID] = taskManager
		default:
			roles[p.PID] = jobManager
		}
	}
	for _, p := range all {
		switch {
		case roles[p.Parent] == "":
		case isWeft(p): // between fork and exec
			roles[p.PID] = ""
		case roles[p.Parent] == taskManager:
			roles[p.PID] = taskHost
		}
	}
	return slices.DeleteFunc(all, func(p hadooptest.Process) bool { return roles[p.PID] != role })
}

func isWeft(p hadooptest.Process) bool {
	return filepath.Base(p.Args[0]) == "weft" && len(p.Args) > 2 && p.Args[1] == "entrypoint"
}

// awaitProcesses waits until an application has n processes of a role.
func (u *user) awaitProcesses(app, role string, n int) []hadooptest.Process {
	u.t.Helper()
	var found []hadooptest.Process
	hadooptest.Await(u.t, patience, fmt.Sprintf("%s has %d %s processes", app, n, role), func() (bool, string) {
		found = u.processes(app, role)
		return len(found) == n, fmt.Sprint(found)
	})
	return found
}

// signal sends a signal to one process of a container.
func (u *user) signal(p hadooptest.Process, s syscall.Signal) {
	u.t.Helper()
	if err := syscall.Kill(p.PID, s); err != nil {
		u.t.Fatalf("send %v to %v: %v", s, p, err)
	}
}

// node is the number of the NodeManager that a container runs on, counted from 1, told by where its logs are:
// <node>/<application>/<container>/<file>.
func (u *user) node(p hadooptest.Process) int {
	u.t.Helper()
	for path := range u.c.ContainerLogs(u.t, p.Application) {
		for i := 1; i <= u.c.NodeManagers; i++ {
			if strings.Contains(path, "/"+hadooptest.NodeManager(i)+"/") && strings.Contains(path, "/"+p.Container+"/") {
				return i
			}
		}
	}
	u.t.Fatalf("on which node is %v?", p)
	return 0
}

// jobManagerLog is what an application's JobManager has logged.
func (u *user) jobManagerLog(app string) string {
	u.t.Helper()
	var all strings.Builder
	for path, text := range u.c.ContainerLogs(u.t, app) {
		if strings.HasPrefix(filepath.Base(path), "jobmanager.") {
			all.WriteString(text)
		}
	}
	return all.String()
}

// logged waits until the JobManager has logged a text.
func (u *user) logged(app, text string) {
	u.t.Helper()
	hadooptest.Await(u.t, patience, "the JobManager logs "+text, func() (bool, string) {
		log := u.jobManagerLog(app)
		return strings.Contains(log, text), log[max(0, len(log)-2000):]
	})
}

// holds checks that an application has exactly n containers, and that this lasts for some of YARN's heartbeats.
func (u *user) holds(app string, n int) {
	u.t.Helper()
	var since time.Time
	hadooptest.Await(u.t, patience, fmt.Sprintf("%s has %d containers, and no more come", app, n), func() (bool, string) {
		report := u.c.App(u.t, app)
		if report.Containers != n {
			since = time.Time{}
		} else if since.IsZero() {
			since = time.Now()
		}
		return !since.IsZero() && time.Since(since) > 3*time.Second, report.String()
	})
}
