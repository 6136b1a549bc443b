package yarn

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
)

// The command lines of the containers. YARN replaces <LOG_DIR>. exec makes weft the process that YARN's signals reach.
// NodeManagers put the tail of files named *stderr* into a failed container's diagnostics.
const (
	masterCommand = "exec ./" + weftFile + " entrypoint yarn-%s 1><LOG_DIR>/jobmanager.out 2><LOG_DIR>/jobmanager.stderr"
	workerCommand = "exec ./" + weftFile + " entrypoint yarn-taskmanager 1><LOG_DIR>/taskmanager.out 2><LOG_DIR>/taskmanager.stderr"
)

// containerEnvironment is what a container gets besides what YARN sets. A container runs as the user of the NodeManager
// where YARN doesn't switch users, so the submitter's name has to be told.
func containerEnvironment(user, key string, configured map[string]string) (map[string]string, error) {
	env, err := quoteEnvironment(key, configured)
	if err != nil {
		return nil, err
	}
	if _, isSet := env[envUser]; !isSet {
		env[envUser] = shellValue(user)
	}
	return env, nil
}

const envUser = "HADOOP_USER_NAME"

// masterLaunch is what the application master's container is launched with. files are its own files in staging, by name.
func masterLaunch(d *deployment, files map[string]records.LocalResource) (records.LaunchContext, error) {
	key := conf.ContainerizedMasterEnv.Key()
	env, err := containerEnvironment(d.User, key, d.Conf.WithPrefix(key))
	if err != nil {
		return records.LaunchContext{}, err
	}
	l := records.LaunchContext{
		LocalResources: maps.Clone(files), Environment: env, ACLs: d.ACLs,
		Command: fmt.Sprintf(masterCommand, d.Mode),
	}
	l.LocalResources[weftFile] = d.Weft.local()
	if d.Mode == modeApplication {
		l.LocalResources[applicationFile] = records.LocalResource{
			URL: d.Application.Artifact.URI, Size: d.Application.Artifact.Size, Timestamp: d.Application.Artifact.MTime,
			Type: records.ResourceFile, Visibility: records.VisibilityPrivate,
		}
	}
	return l, nil
}

// workerLauncher makes the launch contexts of TaskManager containers. All but the certificate is the same for each.
type workerLauncher struct {
	authority *rpc.Authority
	base      records.LaunchContext
	tokens    map[string]hadoop.Token
	settings  []byte
}

func newWorkerLauncher(d *deployment, a *rpc.Authority, own *hadoop.Credentials, jobManager string) (*workerLauncher, error) {
	key := conf.ContainerizedTaskManagerEnv.Key()
	env, err := containerEnvironment(d.User, key, d.Conf.WithPrefix(key))
	if err != nil {
		return nil, err
	}
	settings, err := json.Marshal(workerSettings{Version: link.Version, ClusterID: d.ID, User: d.User, Conf: d.Conf, JobManager: jobManager})
	if err != nil {
		return nil, fmt.Errorf("write what TaskManagers are told: %w", err)
	}
	return &workerLauncher{
		authority: a, settings: settings,
		tokens: own.Without(hadoop.KindAMRMToken).Tokens, // with it a TaskManager could speak for the application
		base: records.LaunchContext{
			LocalResources: map[string]records.LocalResource{weftFile: d.Weft.local()},
			Environment:    env, Command: workerCommand, ACLs: d.ACLs,
		},
	}, nil
}

// launch is DriverConfig.Launch.
func (w *workerLauncher) launch(c records.Container, _ resourcemanager.WorkerSpec) (records.LaunchContext, error) {
	leaf, err := w.authority.Issue(rpc.RoleTaskManager, c.ID.String())
	if err != nil {
		return records.LaunchContext{}, err
	}
	pem, err := leaf.PEM()
	if err != nil {
		return records.LaunchContext{}, err
	}
	l := w.base
	l.Credentials = &hadoop.Credentials{
		Tokens:  w.tokens,
		Secrets: map[string][]byte{secretLeaf: pem, secretWorker: w.settings},
	}
	return l, nil
}

// workerSpec is the size of TaskManager containers.
func workerSpec(c conf.Configuration) resourcemanager.WorkerSpec {
	s := resourcemanager.WorkerSpecOf(c)
	if n := conf.Get(c, conf.YarnContainersVcores); n > 0 {
		s.VCores = n
	}
	return s
}

// masterSize is the size of the application master's container.
func masterSize(c conf.Configuration) records.Resource {
	mb := (conf.Get(c, conf.JobManagerMemoryProcessSize) + conf.Mebibyte - 1) / conf.Mebibyte
	return records.Resource{MemoryMB: int64(mb), VCores: int32(conf.Get(c, conf.YarnAppmasterVcores))}
}
