//go:build hadoop

package usertest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/weftstream/weft/internal/hadooptest"
)

// The roles of processes in containers.
const (
	JobManager  = "JobManager"
	TaskManager = "TaskManager"
	TaskHost    = "task host" // of a job's subtasks, below a TaskManager
	Driver      = "driver"    // of the application's main function, below the JobManager
)

// Processes lists an application's processes of one role.
func (u *User) Processes(app, role string) []hadooptest.Process {
	u.T.Helper()
	all := u.Cluster.Processes(u.T, app)
	roles := map[int]string{}
	for _, p := range all {
		switch {
		case !isWeft(p):
		case p.Args[2] == "yarn-taskmanager":
			roles[p.PID] = TaskManager
		default:
			roles[p.PID] = JobManager
		}
	}
	for _, p := range all {
		switch parent := roles[p.Parent]; {
		case parent == "":
		case isWeft(p): // between fork and exec
			roles[p.PID] = ""
		case parent == TaskManager:
			roles[p.PID] = TaskHost
		case parent == JobManager:
			roles[p.PID] = Driver
		}
	}
	return slices.DeleteFunc(all, func(p hadooptest.Process) bool { return roles[p.PID] != role })
}

func isWeft(p hadooptest.Process) bool {
	return filepath.Base(p.Args[0]) == "weft" && len(p.Args) > 2 && p.Args[1] == "entrypoint"
}

// AwaitProcesses waits until an application has n processes of a role.
func (u *User) AwaitProcesses(app, role string, n int) []hadooptest.Process {
	u.T.Helper()
	var found []hadooptest.Process
	hadooptest.Await(u.T, Patience, fmt.Sprintf("%s has %d %s processes", app, n, role), func() (bool, string) {
		found = u.Processes(app, role)
		return len(found) == n, fmt.Sprint(found)
	})
	return found
}

// Signal sends a signal to one process of a container.
func (u *User) Signal(p hadooptest.Process, s syscall.Signal) {
	u.T.Helper()
	if err := syscall.Kill(p.PID, s); err != nil {
		u.T.Fatalf("send %v to %v: %v", s, p, err)
	}
}

// Node is the number of the NodeManager that a container runs on, counted from 1, told by where its logs are:
// <node>/<application>/<container>/<file>.
func (u *User) Node(p hadooptest.Process) int {
	u.T.Helper()
	for path := range u.Cluster.ContainerLogs(u.T, p.Application) {
		for i := 1; i <= u.Cluster.NodeManagers; i++ {
			if strings.Contains(path, "/"+hadooptest.NodeManager(i)+"/") && strings.Contains(path, "/"+p.Container+"/") {
				return i
			}
		}
	}
	u.T.Fatalf("on which node is %v?", p)
	return 0
}
