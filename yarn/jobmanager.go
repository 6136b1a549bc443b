package yarn

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
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/cachedfile"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/webservice"
)

// explainTimeout bounds the questions to YARN about containers that don't come.
const explainTimeout = 10 * time.Second

// JobManager is what an application master's container was given. It satisfies package entrypoint's JobManagerProvider,
// ApplicationProvider and JobGraphProvider.
type JobManager struct {
	*container
	deployment *deployment
	conf       conf.Configuration
	authority  *rpc.Authority
	token      rpc.Token
	files      *filesystem.Set
}

// OpenJobManager reads it from the container's environment, working directory and token file. Nothing is contacted.
func OpenJobManager(getenv func(string) string) (*JobManager, error) {
	c, err := openContainer(getenv)
	if err != nil {
		return nil, err
	}
	m := &JobManager{container: c}
	if m.deployment, err = readDeployment(filepath.Join(c.workDir, deploymentFile)); err != nil {
		return nil, err
	}
	if m.conf, err = inContainer(m.deployment.Conf, c, getenv(envLocalDirs)); err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(c.workDir, authorityFile))
	if err != nil {
		return nil, fmt.Errorf("read the cluster's certificate authority: %w", err)
	}
	if m.authority, err = rpc.ParseAuthority(pem); err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(c.workDir, tokenFile))
	if err != nil {
		return nil, fmt.Errorf("read the REST token: %w", err)
	}
	if m.token, err = rpc.ParseToken(string(token)); err != nil {
		return nil, fmt.Errorf("read the REST token: %w", err)
	}
	m.files, err = openFiles(m.deployment.Site, m.deployment.User, nil)
	return m, err
}

// ClusterID is the application's id.
func (m *JobManager) ClusterID() string { return m.deployment.ID }

// Mode is session, per-job or application.
func (m *JobManager) Mode() string { return m.deployment.Mode }

// Configuration is the cluster's.
func (m *JobManager) Configuration() conf.Configuration { return m.conf }

// Files are the file systems of the client's site.
func (m *JobManager) Files() *filesystem.Set { return m.files }

// Authority issues the cluster's certificates.
func (m *JobManager) Authority() *rpc.Authority { return m.authority }

// RESTToken is what REST clients have to show.
func (m *JobManager) RESTToken() string { return string(m.token) }

// LogLocation is the epoch log's, in the application's directory in staging.
func (m *JobManager) LogLocation() string { return m.deployment.Directory + "/" + haDirectory }

// Application is the executable that YARN has fetched.
func (m *JobManager) Application() (path string, args []string, a *graph.Artifact) {
	app := m.deployment.Application
	return filepath.Join(m.workDir, applicationFile), app.Args, app.graphArtifact()
}

// PutCachedFile brings a file of this container to the cache in staging.
func (m *JobManager) PutCachedFile(ctx context.Context, path string) (artifact.Artifact, error) {
	fsys, dir, err := m.files.Resolve(m.deployment.Directory)
	if err != nil {
		return artifact.Artifact{}, err
	}
	return cachedfile.ToCache(artifact.NewCache(artifact.CacheConfig{FS: fsys, Staging: parent(dir)}))(ctx, path)
}

// JobGraph is the job that the cluster was deployed for.
func (m *JobManager) JobGraph() (g *graph.JobGraph, attached bool, err error) {
	g = &graph.JobGraph{}
	if err := proto.Unmarshal(m.deployment.JobGraph, g); err != nil {
		return nil, false, fmt.Errorf("read the job that the cluster was deployed for: %w", err)
	}
	return g, m.deployment.Attached, nil
}

// WorkerDriver makes the *Driver of this application.
func (m *JobManager) WorkerDriver(restURL, rpcAddress string, log *slog.Logger) (resourcemanager.WorkerDriver, error) {
	d := m.deployment
	token, ok := m.credentials.TokenOfKind(hadoop.KindAMRMToken)
	if !ok {
		return nil, errors.New("register the application master: YARN gave it no AMRMToken")
	}
	addresses, err := d.Site.RMSchedulerAddresses()
	if err != nil {
		return nil, err
	}
	host, port, err := endpoint(restURL)
	if err != nil {
		return nil, err
	}
	launcher, err := newWorkerLauncher(d, m.authority, m.credentials, rpcAddress)
	if err != nil {
		return nil, err
	}
	label := conf.Get(m.conf, conf.YarnTaskManagerNodeLabel)
	if label == "" {
		label = conf.Get(m.conf, conf.YarnApplicationNodeLabel)
	}
	return NewDriver(DriverConfig{
		Client:       amrm.ClientConfig{Addresses: addresses, Token: token},
		Registration: amrm.Registration{Host: host, RPCPort: port, TrackingURL: restURL},
		FastInterval: conf.Get(m.conf, conf.YarnHeartbeatContainerRequestInterval),
		SlowInterval: time.Duration(conf.Get(m.conf, conf.YarnHeartbeatInterval)) * time.Second,
		Launch:       launcher.launch, Nodes: d.Nodes, NodeLabel: label, Explain: m.explain,
		FinalTrackingURL: historyURL(m.conf), Cleanup: m.cleanup, Log: log,
	})
}

func endpoint(url string) (host string, port int, err error) {
	_, address, _ := strings.Cut(url, "://")
	host, p, err := net.SplitHostPort(strings.TrimRight(address, "/"))
	if err == nil {
		port, err = strconv.Atoi(p)
	}
	if err != nil {
		return "", 0, fmt.Errorf("register the application master: %q is no endpoint: %w", url, err)
	}
	return host, port, nil
}

// historyURL is where a HistoryServer shows ended jobs; "" without one.
func historyURL(c conf.Configuration) string {
	host := conf.Get(c, conf.HistoryServerWebAddress)
	if host == "" {
		return ""
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(conf.Get(c, conf.HistoryServerWebPort)))
}

// RPCPorts is yarn.application-master.port.
func (m *JobManager) RPCPorts() conf.PortRange {
	return conf.Get(m.conf, conf.YarnApplicationMasterPort)
}

// WorkerSpec is the size of TaskManager containers.
func (m *JobManager) WorkerSpec() resourcemanager.WorkerSpec { return workerSpec(m.conf) }

// explain is DriverConfig.Explain.
func (m *JobManager) explain(ctx context.Context, n int, size records.Resource) string {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	addresses, err := m.deployment.Site.RMWebAddresses()
	if err != nil {
		return ""
	}
	web, err := webservice.New(webservice.Config{Addresses: addresses, User: m.deployment.User, Timeout: explainTimeout, Retries: -1})
	if err != nil {
		return ""
	}
	defer web.Close()
	nodes, err := web.Nodes(ctx)
	if err != nil {
		return ""
	}
	scheduler, err := web.Scheduler(ctx)
	if err != nil {
		return ""
	}
	app, err := web.Application(ctx, m.id.Attempt.Application)
	if err != nil {
		return ""
	}
	if s := shortage(leafQueue(scheduler, app.Queue), nodes, n, size, false); s != "" {
		return fmt.Sprintf("%d containers of %s are asked for in queue %s: %s", n, size, app.Queue, s)
	}
	return fmt.Sprintf("%d containers of %s are asked for in queue %s, YARN hasn't granted them yet", n, size, app.Queue)
}

// cleanup removes the application's directory in staging.
func (m *JobManager) cleanup(ctx context.Context) error {
	fsys, dir, err := m.files.Resolve(m.deployment.Directory)
	if err != nil {
		return err
	}
	return staging{fsys, parent(dir)}.remove(ctx, m.deployment.ID)
}

func parent(dir string) string { return dir[:strings.LastIndexByte(dir, '/')] }

// Close closes the file systems.
func (m *JobManager) Close() error { return m.files.Close() }
