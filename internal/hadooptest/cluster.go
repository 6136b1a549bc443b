// Package hadooptest gives tests the real Hadoop that a test run shares: scripts/hadoop has brought it up in a directory,
// and the environment variable WEFT_TEST_HADOOP names that directory. Test files that need it carry the build tag hadoop.
//
// [Require] hands out the [Cluster], which other tests use at the same time: a test keeps to its own HDFS directory
// ([Cluster.TestDir]) and applications. A test that kills or stops daemons uses [RequireExclusive], waits until it is alone,
// over all test processes, and leaves a cluster that is whole again.
//
// The package starts no goroutine. A Cluster's methods may be called from several goroutines, except that those that fail
// the test must be called, as always, from the goroutine that runs it.
package hadooptest

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Variable is the environment variable that names the cluster's directory.
const Variable = "WEFT_TEST_HADOOP"

const howTo = `
"make test" brings one up for the whole run. To keep one while working:
	export ` + Variable + `=/tmp/weft-hadoop
	scripts/hadoop up $` + Variable + ` --nodemanagers 2 --racks
	go test -tags hadoop ./some/package
	scripts/hadoop down $` + Variable

// Cluster is a running Hadoop: NameNode, DataNode, YARN ResourceManager and NodeManagers.
type Cluster struct {
	// Dir is the cluster's directory, an absolute path without symbolic links.
	Dir string
	// ConfDir holds core-site.xml, hdfs-site.xml and yarn-site.xml: the value for HADOOP_CONF_DIR.
	ConfDir string
	// REST is the YARN ResourceManager's address, http://host:port, without a path.
	REST string
	// NameNode is the NameNode's RPC address, host:port.
	NameNode string
	// NodeManagers is their number. They are called nodemanager-1, nodemanager-2, …
	NodeManagers int
	// Racks says whether each node is in a rack of its own.
	Racks bool

	nameNodeWeb string
	dataNodeWeb string
	script      string
	http        *http.Client
}

// Require returns the shared cluster, or fails the test if there is none: it never skips. The test, with its subtests, is
// counted as a user of the cluster until it ends, and waits while another has it to itself.
func Require(t testing.TB) *Cluster {
	t.Helper()
	c := reach(t)
	c.lock(t, false)
	return c
}

// RequireExclusive is Require for tests that disturb the cluster: it waits until no other test uses it and keeps others out
// until the test ends; then it starts or continues whatever is down. Not to be called by a test that holds the cluster.
func RequireExclusive(t testing.TB) *Cluster {
	t.Helper()
	c := reach(t)
	c.lock(t, true)
	t.Cleanup(func() { c.Repair(t) })
	return c
}

func reach(t testing.TB) *Cluster {
	t.Helper()
	dir := os.Getenv(Variable)
	if dir == "" {
		t.Fatalf("this test needs a real Hadoop, and %s isn't set.%s", Variable, howTo)
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatalf("this test needs a real Hadoop: %v.%s", err, howTo)
	}
	return c
}

// Open reads what scripts/hadoop has written in dir and asks the ResourceManager for its state, for at most ten seconds:
// another test may be restarting it.
func Open(dir string) (*Cluster, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("find the cluster's directory: %w", err)
	}
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		var info struct{}
		if err = c.getJSON(ctx, c.REST+"/ws/v1/cluster/info", &info); err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("reach the YARN ResourceManager of %s: %w", dir, err)
		case <-time.After(pollInterval):
		}
	}
}

// read fills a Cluster from the file "cluster" in dir.
func read(dir string) (*Cluster, error) {
	file, err := os.Open(filepath.Join(dir, "cluster"))
	if err != nil {
		return nil, fmt.Errorf("find a cluster in %s: %w", dir, err)
	}
	defer func() { _ = file.Close() }()
	facts := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		facts[key] = value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", file.Name(), err)
	}
	nodes, err := strconv.Atoi(facts["nodemanagers"])
	if err != nil || facts["rest"] == "" {
		return nil, fmt.Errorf("read %s: it isn't complete: bring the cluster up again", file.Name())
	}
	return &Cluster{
		Dir:          dir,
		ConfDir:      filepath.Join(dir, "conf"),
		REST:         facts["rest"],
		NameNode:     facts["namenode"],
		NodeManagers: nodes,
		Racks:        facts["racks"] == "yes",
		nameNodeWeb:  facts["namenode-web"],
		dataNodeWeb:  facts["datanode-web"],
		script:       facts["script"],
		http:         &http.Client{Timeout: 30 * time.Second},
	}, nil
}

// NodeHost returns the host name of NodeManager i, counted from 1, as YARN knows it.
func (c *Cluster) NodeHost(i int) string { return fmt.Sprintf("127.0.0.%d", i+1) }

// Rack returns the rack of NodeManager i, counted from 1.
func (c *Cluster) Rack(i int) string {
	if !c.Racks {
		return "/default-rack"
	}
	return fmt.Sprintf("/rack-%d", i)
}
