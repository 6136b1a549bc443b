package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
)

// process is what every process of a standalone cluster is told by its configuration.
type process struct {
	id, host        string
	conf            conf.Configuration
	files           *filesystem.Set
	logDir, tempDir string
}

// openProcess makes the directories. kind is jobmanager or taskmanager.
func openProcess(c conf.Configuration, getenv func(string) string, kind, id, host string) (*process, error) {
	p := &process{id: id, host: host}
	var err error
	if p.conf, err = withHadoop(c, getenv); err != nil {
		return nil, err
	}
	if p.files, err = openFiles(p.conf, getenv); err != nil {
		return nil, err
	}
	logs := conf.Get(c, conf.EnvLogDir)
	if logs == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("find the directory of log files: %w; set %s", err, conf.EnvLogDir.Key())
		}
		logs = filepath.Join(home, ".weft", "log")
	}
	if p.logDir, err = filepath.Abs(filepath.Join(logs, id)); err == nil {
		err = os.MkdirAll(p.logDir, 0o750)
	}
	if err != nil {
		return nil, fmt.Errorf("make the directory of log files: %w", err)
	}
	work := conf.Get(c, conf.ProcessWorkingDir)
	if work == "" {
		work, _, _ = strings.Cut(conf.Get(c, conf.IoTmpDirs), ",")
	}
	if work != "" {
		if err := os.MkdirAll(work, 0o700); err != nil {
			return nil, fmt.Errorf("make the working directory: %w", err)
		}
	}
	if p.tempDir, err = os.MkdirTemp(work, "weft-"+kind+"-"); err != nil {
		return nil, fmt.Errorf("make a directory for temporary files: %w", err)
	}
	return p, nil
}

// withHadoop puts the site files of HADOOP_CONF_DIR, if it is set, where jobs find them: below flink.hadoop.
func withHadoop(c conf.Configuration, getenv func(string) string) (conf.Configuration, error) {
	dir := getenv("HADOOP_CONF_DIR")
	if dir == "" {
		dir = conf.Get(c, conf.EnvHadoopConfDir)
	}
	if dir == "" {
		return c, nil
	}
	site, err := hadoop.LoadSite(dir)
	if err != nil {
		return c, err
	}
	pairs := c.Map()
	for _, name := range site.Names() {
		key := conf.FlinkHadoop.Key() + name
		if _, isSet := pairs[key]; !isSet {
			pairs[key] = site.Get(name)
		}
	}
	return conf.FromMap(pairs)
}

// openFiles makes the file systems; nothing is connected yet.
func openFiles(c conf.Configuration, getenv func(string) string) (*filesystem.Set, error) {
	return filesystem.NewSet(filesystem.SetConfig{
		DefaultScheme: conf.Get(c, conf.FsDefaultScheme),
		Schemes: map[string]filesystem.Opener{"hdfs": hdfs.Opener(hdfs.Config{
			Site: c.WithPrefix(conf.FlinkHadoop.Key()), User: getenv("HADOOP_USER_NAME"),
		})},
	})
}

// ResourceID is taskmanager.resource-id or jobmanager.resource-id, else the host's name and the process's number.
func (p *process) ResourceID() string { return p.id }

// Host is jobmanager.rpc.address or taskmanager.host.
func (p *process) Host() string { return p.host }

// Configuration is the file's and the command line's, with what HADOOP_CONF_DIR has.
func (p *process) Configuration() conf.Configuration { return p.conf }

// Files are file: and hdfs:.
func (p *process) Files() *filesystem.Set { return p.files }

// LogDir is a directory of this process's own in env.log.dir.
func (p *process) LogDir() string { return p.logDir }

// TempDir is removed by Close.
func (p *process) TempDir() string { return p.tempDir }

// Close closes the file systems and removes temporary files.
func (p *process) Close() error { return errors.Join(p.files.Close(), os.RemoveAll(p.tempDir)) }

// defaultHost is where a JobManager is without jobmanager.rpc.address: a cluster on this machine alone.
const defaultHost = "localhost"

func jobManagerHost(c conf.Configuration) string {
	if host := conf.Get(c, conf.JobManagerRpcAddress); host != "" {
		return host
	}
	return defaultHost
}

// name is the name of a process that none was given: it is not used again, as a TaskManager that has gone may not
// register under its name.
func name(kind string) string {
	host, err := os.Hostname()
	if err != nil {
		host = defaultHost
	}
	return fmt.Sprintf("%s-%s-%d-%s", kind, host, os.Getpid(), graph.NewJobID().String()[:6])
}

// JobManager is what a JobManager's process is told. It satisfies package entrypoint's JobManagerProvider.
type JobManager struct {
	*process
	material Material
}

// OpenJobManager opens weft.security.dir, which it makes if need be, and the process's directories.
func OpenJobManager(c conf.Configuration, getenv func(string) string) (*JobManager, error) {
	dir, err := securityDir(c)
	if err != nil {
		return nil, err
	}
	material, err := OpenMaterial(dir)
	if err != nil {
		return nil, err
	}
	id := conf.Get(c, conf.JobManagerResourceId)
	if id == "" {
		id = "jobmanager"
	}
	p, err := openProcess(c, getenv, "jobmanager", filepath.Base(id), jobManagerHost(c))
	if err != nil {
		return nil, err
	}
	return &JobManager{p, material}, nil
}

// ClusterID is "standalone".
func (m *JobManager) ClusterID() string { return "standalone" }

// Mode is session.
func (m *JobManager) Mode() string { return "session" }

// Authority issues the cluster's certificates.
func (m *JobManager) Authority() *rpc.Authority { return m.material.Authority }

// RESTToken is what REST clients have to show.
func (m *JobManager) RESTToken() string { return string(m.material.Token) }

// RPCPorts is jobmanager.rpc.bind-port, else jobmanager.rpc.port.
func (m *JobManager) RPCPorts() conf.PortRange {
	port, isSet := conf.Lookup(m.conf, conf.JobManagerRpcBindPort)
	if !isSet {
		port = conf.Get(m.conf, conf.JobManagerRpcPort)
	}
	return conf.PortRange{{First: port, Last: port}}
}

// WorkerSpec is the configured TaskManager's, for people: each says itself what it has.
func (m *JobManager) WorkerSpec() resourcemanager.WorkerSpec {
	return resourcemanager.WorkerSpecOf(m.conf)
}

// LogLocation is memory: without high availability a new JobManager begins anew.
func (m *JobManager) LogLocation() string { return "" }

// WorkerDriver brings nothing: TaskManagers come by themselves.
func (m *JobManager) WorkerDriver(string, string, *slog.Logger) (resourcemanager.WorkerDriver, error) {
	return resourcemanager.StaticDriver{}, nil
}

// TaskManager is what a TaskManager's process is told. It satisfies package entrypoint's TaskManagerProvider.
type TaskManager struct {
	*process
	leaf       *rpc.Leaf
	jobManager string
}

// OpenTaskManager reads the certificate, for which it waits a little, and makes the process's directories.
func OpenTaskManager(ctx context.Context, c conf.Configuration, getenv func(string) string) (*TaskManager, error) {
	dir, err := securityDir(c)
	if err != nil {
		return nil, err
	}
	leaf, err := readLeaf(ctx, dir)
	if err != nil {
		return nil, err
	}
	id := conf.Get(c, conf.TaskManagerResourceId)
	if id == "" {
		id = name("taskmanager")
	}
	p, err := openProcess(c, getenv, "taskmanager", filepath.Base(id), taskManagerHost(c))
	if err != nil {
		return nil, err
	}
	return &TaskManager{p, leaf, net.JoinHostPort(jobManagerHost(c), strconv.Itoa(conf.Get(c, conf.JobManagerRpcPort)))}, nil
}

// taskManagerHost is taskmanager.host; else this machine's name, or the loopback address where the JobManager has that.
func taskManagerHost(c conf.Configuration) string {
	if host := conf.Get(c, conf.TaskManagerHost); host != "" {
		return host
	}
	jm := jobManagerHost(c)
	if ip := net.ParseIP(jm); jm == defaultHost || ip.IsLoopback() {
		return jm
	}
	host, err := os.Hostname()
	if err != nil {
		return defaultHost
	}
	return host
}

// Leaf is the certificate that TaskManagers share.
func (t *TaskManager) Leaf() *rpc.Leaf { return t.leaf }

// JobManager is jobmanager.rpc.address and jobmanager.rpc.port.
func (t *TaskManager) JobManager() string { return t.jobManager }

// ArtifactDir is removed by Close.
func (t *TaskManager) ArtifactDir() string { return filepath.Join(t.tempDir, "artifacts") }

// ExitOnDisconnect is false: it registers again with the next JobManager.
func (t *TaskManager) ExitOnDisconnect() bool { return false }
