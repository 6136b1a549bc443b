//go:build hadoop

package hadooptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// submit starts an application whose only container, that of its ApplicationMaster, runs a command. It is killed at the
// test's end.
func submit(t *testing.T, c *Cluster, command string) string {
	t.Helper()
	id := submitOnly(t, c, command)
	t.Cleanup(func() { c.KillApp(t, id) })
	return id
}

func submitOnly(t *testing.T, c *Cluster, command string) string {
	t.Helper()
	var created struct {
		ID string `json:"application-id"`
	}
	answer, err := c.do(context.Background(), http.MethodPost, c.REST+"/ws/v1/cluster/apps/new-application?user.name=alice", "", nil)
	if err == nil {
		err = json.Unmarshal(answer, &created)
	}
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"application-id":%q,"application-name":"hadooptest","application-type":"test","queue":"batch",
		"am-container-spec":{"commands":{"command":%q}},"max-app-attempts":1,"resource":{"memory":64,"vCores":1}}`,
		created.ID, command)
	_, err = c.do(context.Background(), http.MethodPost, c.REST+"/ws/v1/cluster/apps?user.name=alice", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c.LogOnFailure(t, created.ID)
	return created.ID
}

// awaitSleep waits until an application's container runs sleep, and returns its process id.
func awaitSleep(t *testing.T, c *Cluster, id string) (pid int) {
	t.Helper()
	Await(t, 25*time.Second, "the container of "+id+" runs", func() (bool, string) {
		found := c.Processes(t, id)
		for _, p := range found {
			if p.Args[0] == "sleep" {
				pid = p.PID
			}
		}
		return pid != 0, fmt.Sprint(found)
	})
	return pid
}

func TestApplicationsAndTheirProcesses(t *testing.T) {
	c := Require(t)
	id := submit(t, c, "echo hello 1><LOG_DIR>/stdout; exec sleep 600")
	awaitSleep(t, c, id)
	if !slices.ContainsFunc(c.LiveApps(t), func(a App) bool { return a.ID == id && a.User == "alice" && a.Queue == "root.batch" }) {
		t.Errorf("%s isn't among the live applications: %v", id, c.LiveApps(t))
	}
	var said bool
	for _, text := range c.ContainerLogs(t, id) {
		said = said || text == "hello\n"
	}
	if !said {
		t.Errorf("the container's output isn't in its logs: %v", c.ContainerLogs(t, id))
	}
	c.KillApp(t, id)
	if app := c.AwaitEnd(t, id, time.Minute); app.State != "KILLED" || app.FinalStatus != "KILLED" {
		t.Errorf("ended as %v", app)
	}
	c.AwaitNoProcesses(t, id, time.Minute)
}

func TestUnknownApplication(t *testing.T) {
	c := Require(t)
	_, err := c.LookupApp(context.Background(), "application_1_9999")
	if status := (*StatusError)(nil); !errors.As(err, &status) || status.Status != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
}

func TestFiles(t *testing.T) {
	c := Require(t)
	dir := c.TestDir(t)
	c.WriteFile(t, dir+"/a b/file+1", []byte("one"))
	c.WriteFile(t, dir+"/z", []byte("two"))
	if got := string(c.ReadFile(t, dir+"/a b/file+1")); got != "one" {
		t.Errorf("read %q", got)
	}
	if got := c.Walk(t, dir); !slices.Equal(got, []string{dir + "/a b/file+1", dir + "/z"}) {
		t.Errorf("files: %q", got)
	}
	if got := c.List(t, dir); len(got) != 2 || got[0].Type != "DIRECTORY" || got[1].Length != 3 {
		t.Errorf("listing: %+v", got)
	}
	if got := c.List(t, dir+"/absent"); got != nil {
		t.Errorf("an absent directory holds %+v", got)
	}
}

// TestDaemonFaults: each daemon comes back after kill -9, with its data, and the running application lives through a
// restart of the ResourceManager.
func TestDaemonFaults(t *testing.T) {
	c := RequireExclusive(t)
	dir := c.TestDir(t)
	c.WriteFile(t, dir+"/file", []byte("kept"))
	id := submit(t, c, "exec sleep 600")
	before := awaitSleep(t, c, id)

	for _, daemon := range []string{ResourceManager, NameNode, DataNode} {
		c.Kill(t, daemon)
		if state := c.State(t, daemon); state != "dead" {
			t.Errorf("%s is %s after kill", daemon, state)
		}
		c.Start(t, daemon)
		c.AwaitReady(t, time.Minute)
	}
	if got := string(c.ReadFile(t, dir+"/file")); got != "kept" {
		t.Errorf("the file holds %q", got)
	}
	if after := awaitSleep(t, c, id); after != before {
		t.Errorf("the container's process was %d, is %d", before, after)
	}

	node := NodeManager(c.NodeManagers)
	c.Stop(t, node)
	if state := c.State(t, node); state != "stopped" {
		t.Errorf("%s is %s after stop", node, state)
	}
	c.Repair(t)
	if state := c.State(t, node); state != "running" {
		t.Errorf("%s is %s after repair", node, state)
	}
}
