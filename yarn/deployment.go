package yarn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/yarn/amrm"
)

// Names of files: in the application's directory in staging and, the same, in the application master's working directory.
const (
	deploymentFile  = "deployment.json"
	authorityFile   = "authority.pem"
	tokenFile       = "rest.token"
	weftFile        = "weft"        // the weft executable, in every container
	applicationFile = "application" // the user's executable, in the application master's container
	haDirectory     = "ha"          // the epoch log, in staging only
)

// The modes, as the deployment, package entrypoint and the verbs of `weft entrypoint` call them.
const (
	modeSession     = "session"
	modePerJob      = "per-job"
	modeApplication = "application"
)

// maxDeployment bounds deployment.json, which may hold a JobGraph.
const maxDeployment = 128 << 20

// deployment is what the client tells the application master: deployment.json.
type deployment struct {
	// Version is the client's Weft. The application master runs the same executable.
	Version string `json:"version"`
	ID      string `json:"id"`
	Mode    string `json:"mode"`
	User    string `json:"user"`
	// Directory is the application's directory in staging, a URI.
	Directory string             `json:"directory"`
	Conf      conf.Configuration `json:"configuration"`
	// Site is the client's effective core-, hdfs- and yarn-site.
	Site *hadoop.Site `json:"site"`
	// Weft is the weft executable, for further containers.
	Weft resource `json:"weft"`
	// Application is the user's; nil in a session.
	Application *application `json:"application,omitempty"`
	// JobGraph is the job of per-job mode, serialised; Attached says that the client waits for its result.
	JobGraph []byte `json:"jobGraph,omitempty"`
	Attached bool   `json:"attached,omitempty"`
	// Nodes are where TaskManagers fit, to spread them over.
	Nodes []amrm.NodeHost `json:"nodes,omitempty"`
	// ACLs are the application's, and so its containers'.
	ACLs map[records.AccessType]string `json:"acls,omitempty"`
}

// application is the user's executable.
type application struct {
	Name     string            `json:"name"` // of the file, for people
	Platform string            `json:"platform"`
	Args     []string          `json:"args,omitempty"`
	Artifact artifact.Artifact `json:"artifact"`
}

// graphArtifact is how a JobGraph names the executable.
func (a *application) graphArtifact() *graph.Artifact {
	return &graph.Artifact{Uri: a.Artifact.URI, Sha256: a.Artifact.SHA256[:], Size: a.Artifact.Size, Name: a.Name, Platform: a.Platform}
}

// resource is a file in staging as containers get it.
type resource struct {
	Artifact   artifact.Artifact  `json:"artifact"`
	Visibility records.Visibility `json:"visibility"`
}

func (r resource) local() records.LocalResource {
	return records.LocalResource{URL: r.Artifact.URI, Size: r.Artifact.Size, Timestamp: r.Artifact.MTime,
		Type: records.ResourceFile, Visibility: r.Visibility}
}

// readDeployment reads deployment.json and checks that this executable can serve it.
func readDeployment(path string) (*deployment, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the deployment: %w", err)
	}
	if fi.Size() > maxDeployment {
		return nil, fmt.Errorf("read the deployment: %s has %d bytes, more than the %d that are accepted", path, fi.Size(), maxDeployment)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the deployment: %w", err)
	}
	d := &deployment{Site: &hadoop.Site{}}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("read the deployment %s: %w", path, err)
	}
	if d.Version != link.Version {
		return nil, fmt.Errorf("read the deployment: it was made by Weft %s, and this is Weft %s", d.Version, link.Version)
	}
	if d.Mode == modeApplication && d.Application == nil || d.Mode == modePerJob && (d.Application == nil || len(d.JobGraph) == 0) {
		return nil, errors.New("read the deployment: the application or the job is missing")
	}
	return d, nil
}

// hadoopPrefixes are the properties an application needs to reach HDFS.
var hadoopPrefixes = []string{"fs.", "dfs.", "hadoop.", "ipc.", "io."}

// clusterConfiguration is c as the cluster gets it. No process there reads HADOOP_CONF_DIR: the properties of the site
// travel as flink.hadoop.*, which is where applications look for them, and the default file system as fs.default-scheme.
func clusterConfiguration(c conf.Configuration, site *hadoop.Site, id string) (conf.Configuration, error) {
	pairs := c.Map()
	for _, name := range site.Names() {
		for _, prefix := range hadoopPrefixes {
			if strings.HasPrefix(name, prefix) {
				pairs[conf.FlinkHadoop.Key()+name] = site.Get(name)
			}
		}
	}
	if _, isSet := pairs[conf.FsDefaultScheme.Key()]; !isSet {
		pairs[conf.FsDefaultScheme.Key()] = defaultScheme(site)
	}
	if _, isSet := conf.Lookup(c, conf.HighAvailabilityClusterId); !isSet {
		pairs[conf.HighAvailabilityClusterId.Key()] = id
	}
	// They describe the client's machine.
	maps.DeleteFunc(pairs, func(key, _ string) bool {
		return key == conf.EnvHadoopConfDir.Key() || key == conf.EnvYarnConfDir.Key()
	})
	out, err := conf.FromMap(pairs)
	if err != nil {
		return c, fmt.Errorf("make the cluster's configuration: %w", err)
	}
	return out, nil
}

// defaultScheme is fs.defaultFS as filesystem.SetConfig.DefaultScheme takes it.
func defaultScheme(site *hadoop.Site) string {
	fs := site.DefaultFS()
	if scheme, rest, ok := strings.Cut(fs, ":"); ok && strings.Trim(rest, "/") == "" {
		return scheme
	}
	return fs + "/"
}

// containerSecrets are what a TaskManager's container gets in its credentials.
const (
	secretLeaf   = "weft.leaf"
	secretWorker = "weft.taskmanager"
)

// workerSettings is what a TaskManager is told: the secret weft.taskmanager.
type workerSettings struct {
	Version   string             `json:"version"`
	ClusterID string             `json:"clusterId"`
	User      string             `json:"user"`
	Conf      conf.Configuration `json:"configuration"`
	// JobManager is its rpc address.
	JobManager string `json:"jobManager"`
}
