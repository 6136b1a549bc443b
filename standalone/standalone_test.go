package standalone

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/entrypoint"
	"github.com/weftstream/weft/runtime/rpc"
)

// What the entrypoints ask for.
var (
	_ entrypoint.JobManagerProvider  = (*JobManager)(nil)
	_ entrypoint.TaskManagerProvider = (*TaskManager)(nil)
)

func noEnv(string) string { return "" }

func configuration(t *testing.T, pairs ...string) conf.Configuration {
	t.Helper()
	dir := t.TempDir()
	m := map[string]string{"weft.security.dir": filepath.Join(dir, "security"), "env.log.dir": filepath.Join(dir, "log"),
		"io.tmp.dirs": filepath.Join(dir, "tmp")}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	c, err := conf.FromMap(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// JobManagers that start at the same time make one set of files, and later ones find it.
func TestMaterialIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var all [8]Material
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = OpenMaterial(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first, err := all[0].Authority.PEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if pem, err := m.Authority.PEM(); err != nil || string(pem) != string(first) || m.Token != all[0].Token || m.Token == "" {
			t.Errorf("another authority or token: %v", err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("files: %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", e.Name(), info.Mode())
		}
	}
	leaf, err := readLeaf(context.Background(), dir)
	if err != nil || leaf.Role() != rpc.RoleTaskManager {
		t.Errorf("leaf %v, %v", leaf, err)
	}
}

func TestMaterialThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenMaterial(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{AuthorityFile, TaskManagerFile, TokenFile} {
		path := filepath.Join(dir, name)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenMaterial(dir); err == nil || !strings.Contains(err.Error(), path+" can be read or written by others") {
			t.Errorf("%s: error %v", name, err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, TokenFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenMaterial(dir); err == nil {
		t.Error("a broken token is accepted")
	}
}

// A TaskManager that is started first waits for the JobManager's files.
func TestTaskManagerWaitsForCertificate(t *testing.T) {
	c := configuration(t, "jobmanager.rpc.address", "127.0.0.1", "jobmanager.rpc.port", "7000")
	opened := make(chan error, 1)
	var tm *TaskManager
	go func() {
		var err error
		tm, err = OpenTaskManager(context.Background(), c, noEnv)
		opened <- err
	}()
	jm, err := OpenJobManager(c, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if tm.JobManager() != "127.0.0.1:7000" || tm.Host() != "127.0.0.1" || jm.Host() != "127.0.0.1" || tm.ExitOnDisconnect() {
		t.Errorf("TaskManager on %s for %s, JobManager on %s", tm.Host(), tm.JobManager(), jm.Host())
	}
	if p := jm.RPCPorts(); p.String() != "7000" || jm.Mode() != string(entrypoint.ModeSession) || jm.RESTToken() == "" {
		t.Errorf("ports %s, mode %s", p, jm.Mode())
	}
	temp := []string{jm.TempDir(), tm.TempDir()}
	if err := errors.Join(jm.Close(), tm.Close()); err != nil {
		t.Error(err)
	}
	for _, dir := range temp {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind", dir)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := OpenTaskManager(ended, configuration(t), noEnv); err == nil || !strings.Contains(err.Error(), "start the JobManager first") {
		t.Errorf("no certificate: %v", err)
	}
}

func TestHosts(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ address, host, jobManager, taskManager string }{
		{"", "", "localhost", "localhost"},
		{"localhost", "", "localhost", "localhost"},
		{"::1", "", "::1", "::1"},
		{"node1", "", "node1", here},
		{"node1", "node2", "node1", "node2"},
	} {
		var pairs []string
		if test.address != "" {
			pairs = append(pairs, "jobmanager.rpc.address", test.address)
		}
		if test.host != "" {
			pairs = append(pairs, "taskmanager.host", test.host)
		}
		c := configuration(t, pairs...)
		if jm, tm := jobManagerHost(c), taskManagerHost(c); jm != test.jobManager || tm != test.taskManager {
			t.Errorf("%+v: %s, %s", test, jm, tm)
		}
	}
}

// Jobs find Hadoop's properties where they look for them; what the configuration says is above.
func TestHadoopSite(t *testing.T) {
	dir := t.TempDir()
	site := `<configuration><property><name>fs.defaultFS</name><value>hdfs://nn:8020</value></property>` +
		`<property><name>dfs.replication</name><value>3</value></property></configuration>`
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := withHadoop(configuration(t, "flink.hadoop.dfs.replication", "1"), func(name string) string {
		return map[string]string{"HADOOP_CONF_DIR": dir}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	fs, _ := c.Raw("flink.hadoop.fs.defaultFS")
	replication, _ := c.Raw("flink.hadoop.dfs.replication")
	if fs != "hdfs://nn:8020" || replication != "1" {
		t.Errorf("fs.defaultFS %s, dfs.replication %s", fs, replication)
	}
}

func TestDescriptor(t *testing.T) {
	c := configuration(t, "rest.retry.max-attempts", "0")
	m, err := OpenMaterial(conf.Get(c, conf.WeftSecurityDir))
	if err != nil {
		t.Fatal(err)
	}
	status := http.StatusOK
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		if r.Header.Get("Authorization") != "Bearer "+string(m.Token) {
			status = http.StatusUnauthorized
		}
		w.WriteHeader(status)
		w.Write([]byte("{}"))
	}))
	id := strings.TrimPrefix(server.URL, "http://")
	p := Provider{}
	d, err := p.Descriptor(c, client.Environment{Getenv: noEnv})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	cluster, err := d.Retrieve(ctx, id)
	if err != nil || cluster.Endpoint != server.URL || cluster.Token != string(m.Token) {
		t.Errorf("cluster %+v, %v", cluster, err)
	}
	for s, want := range map[int]client.State{http.StatusOK: client.Running, http.StatusServiceUnavailable: client.Pending} {
		status = s
		if r, err := d.Report(ctx, id); err != nil || r.State != want {
			t.Errorf("report %+v, %v", r, err)
		}
	}
	status = http.StatusOK
	if err := d.Kill(ctx, id); err != nil || asked[len(asked)-1] != "DELETE /v1/cluster" {
		t.Errorf("kill: %v, requests %v", err, asked)
	}
	server.Close()
	if _, err := d.Report(ctx, id); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("report of a cluster that has gone: %v", err)
	}
	if err := d.Kill(ctx, id); err != nil {
		t.Errorf("kill of a cluster that has gone: %v", err)
	}
	for _, deploy := range []func() (*client.Cluster, error){
		func() (*client.Cluster, error) { return d.DeploySession(ctx) },
		func() (*client.Cluster, error) { return d.DeployApplication(ctx, client.Application{}) },
		func() (*client.Cluster, error) { return d.DeployPerJob(ctx, nil, client.Application{}) },
	} {
		if _, err := deploy(); err == nil || !strings.Contains(err.Error(), "weft jobmanager") {
			t.Errorf("deployment: %v", err)
		}
	}
	if _, _, err := net.SplitHostPort(id); err != nil || d.Sweep(ctx) != nil || d.Close() != nil {
		t.Error("sweep or close failed")
	}
}
