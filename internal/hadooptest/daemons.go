package hadooptest

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Names of the daemons that there is one of.
const (
	ResourceManager = "resourcemanager"
	NameNode        = "namenode"
	DataNode        = "datanode"
)

// NodeManager returns the name of NodeManager i, counted from 1.
func NodeManager(i int) string { return fmt.Sprintf("nodemanager-%d", i) }

// Kill ends a daemon as kill -9 does and returns when its process is gone. The containers of a killed NodeManager live on.
// Like Stop, Continue and Start it fails the test if it can't be done, and needs the cluster exclusively.
func (c *Cluster) Kill(t testing.TB, daemon string) { t.Helper(); c.run(t, "kill", daemon) }

// Stop makes a daemon silent: its process is stopped (SIGSTOP), its connections stay open.
func (c *Cluster) Stop(t testing.TB, daemon string) { t.Helper(); c.run(t, "stop", daemon) }

// Continue ends what Stop began.
func (c *Cluster) Continue(t testing.TB, daemon string) { t.Helper(); c.run(t, "cont", daemon) }

// Start starts a dead daemon again, with its configuration and data, and returns when it accepts connections.
// [Cluster.AwaitReady] waits until the others have noticed.
func (c *Cluster) Start(t testing.TB, daemon string) { t.Helper(); c.run(t, "start", daemon) }

func (c *Cluster) run(t testing.TB, verb, daemon string) {
	t.Helper()
	if out, err := c.command(verb, daemon); err != nil {
		t.Fatalf("%s %s: %v\n%s", verb, daemon, err, out)
	}
}

// command runs scripts/hadoop; its waits are bounded by itself.
func (c *Cluster) command(verb string, daemon ...string) (string, error) {
	out, err := exec.Command(c.script, append([]string{verb, c.Dir}, daemon...)...).CombinedOutput()
	return string(out), err
}

// State returns a daemon's state: running, stopped (by Stop) or dead.
func (c *Cluster) State(t testing.TB, daemon string) string {
	t.Helper()
	state, ok := c.states()[daemon]
	if !ok {
		t.Fatalf("state of %s: the cluster has no such daemon", daemon)
	}
	return state
}

// states returns all daemons' states; status exits with 1 when some aren't running, which is no failure here.
func (c *Cluster) states() map[string]string {
	out, _ := c.command("status")
	states := map[string]string{}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) >= 2 {
			states[fields[0]] = fields[1]
		}
	}
	return states
}

// Repair continues and starts what is down and waits until the cluster is ready. It is called at the end of a test that had
// the cluster exclusively; a test calls it to go on with a whole cluster.
func (c *Cluster) Repair(t testing.TB) {
	t.Helper()
	for daemon, state := range c.states() {
		verb := ""
		switch state {
		case "stopped":
			verb = "cont"
		case "dead":
			verb = "start"
		default:
			continue
		}
		if out, err := c.command(verb, daemon); err != nil {
			t.Errorf("repair the cluster: %s %s: %v\n%s", verb, daemon, err, out)
		}
	}
	c.AwaitReady(t, time.Minute)
}

// AwaitReady waits until HDFS is out of safe mode with its DataNode and all NodeManagers are RUNNING. Of a NodeManager that was
// killed and started within seconds, the ResourceManager has noticed neither yet.
func (c *Cluster) AwaitReady(t testing.TB, within time.Duration) {
	t.Helper()
	Await(t, within, "the cluster is ready", func() (bool, string) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.ready(ctx); err != nil {
			return false, err.Error()
		}
		return true, ""
	})
}

func (c *Cluster) ready(ctx context.Context) error {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return err
	}
	for i := 1; i <= c.NodeManagers; i++ {
		if state := nodes[c.NodeHost(i)]; state != "RUNNING" {
			return fmt.Errorf("node %s is %q", c.NodeHost(i), state)
		}
	}
	var names []struct {
		State     string `json:"FSState"`
		DataNodes int    `json:"NumLiveDataNodes"`
	}
	if err := c.beans(ctx, c.nameNodeWeb, "Hadoop:service=NameNode,name=FSNamesystemState", &names); err != nil {
		return err
	}
	if len(names) != 1 || names[0].State != "Operational" || names[0].DataNodes < 1 {
		return fmt.Errorf("the NameNode reports %+v", names)
	}
	// The NameNode counts a killed DataNode as live for minutes: so the DataNode is asked as well.
	var data []struct {
		Actors string `json:"BPServiceActorInfo"` // JSON in a string
	}
	if err := c.beans(ctx, c.dataNodeWeb, "Hadoop:service=DataNode,name=DataNodeInfo", &data); err != nil {
		return err
	}
	if len(data) != 1 || !strings.Contains(data[0].Actors, `"ActorState":"RUNNING"`) {
		return fmt.Errorf("the DataNode reports %+v", data)
	}
	return nil
}

// beans asks a daemon for its JMX beans of that name.
func (c *Cluster) beans(ctx context.Context, web, name string, to any) error {
	answer := struct {
		Beans any `json:"beans"`
	}{to}
	return c.getJSON(ctx, web+"/jmx?"+url.Values{"qry": {name}}.Encode(), &answer)
}
