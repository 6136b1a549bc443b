// Package entrypoint is the processes of a cluster: RunJobManager and RunTaskManager put the roles together, run them
// and end them. It knows no provider; a provider's value (yarn.JobManager, yarn.TaskManager, those of package
// standalone) says where the process runs and what it was given, and the interfaces here are all that is asked of it.
//
// A JobManager's process starts in this order, side by side where nothing depends on another: log file, listeners, REST
// endpoint (answering 503), registration with what provides workers, epoch log; then the roles, and last the
// DispatcherBootstrap of its mode, which runs the application, the one JobGraph, or nothing. It ends when the bootstrap
// says so, when DELETE /cluster or a signal asks for it, or when the roles can't go on; the final status reaches the
// provider through the worker driver.
//
// Goroutines: Run functions start theirs (REST server, rpc server, bootstrap) and join them before they return.
package entrypoint

import (
	"context"
	"log/slog"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
)

// Exit codes of a cluster's processes, Flink's where it has one.
const (
	// ExitOK: the cluster ended as it should: SUCCEEDED or KILLED (cancelled).
	ExitOK = 0
	// ExitStartup: the process couldn't start, or a TaskManager lost its JobManager.
	ExitStartup = 1
	// ExitFatal: the JobManager couldn't go on.
	ExitFatal = 2
	// ExitTaskManagerStartup: a TaskManager couldn't start.
	ExitTaskManagerStartup = 31
	// ExitFailed: the cluster's work ended FAILED (Flink's 1443, modulo 256).
	ExitFailed = 163
	// ExitUnknown: the cluster ended without a final status (Flink's 1445, modulo 256).
	ExitUnknown = 165
)

// Mode is how a cluster gets its jobs.
type Mode string

// The modes.
const (
	// ModeSession: jobs are submitted through REST; the cluster ends with DELETE /cluster.
	ModeSession Mode = "session"
	// ModePerJob: the cluster runs the JobGraph it was deployed with.
	ModePerJob Mode = "per-job"
	// ModeApplication: the cluster runs the application as its driver.
	ModeApplication Mode = "application"
)

// Process is what every process of a cluster is told by its provider.
type Process interface {
	// ResourceID names the process within the cluster: the container's id on YARN.
	ResourceID() string
	// Host is the name or address under which others reach the process.
	Host() string
	// Configuration is the cluster's.
	Configuration() conf.Configuration
	// Files are the file systems; whoever made the value closes them, after Run has returned.
	Files() *filesystem.Set
	// LogDir and TempDir are local directories for log files and for what need not survive. TempDir exists.
	LogDir() string
	TempDir() string
}

// JobManagerProvider is a JobManager's process as its provider knows it.
type JobManagerProvider interface {
	Process
	// ClusterID names the cluster: application_… on YARN.
	ClusterID() string
	// Mode is the cluster's.
	Mode() string
	// Authority issues the certificates of this cluster's processes; RESTToken is what REST clients have to show.
	Authority() *rpc.Authority
	RESTToken() string
	// RPCPorts are the ports for the rpc server, tried in order.
	RPCPorts() conf.PortRange
	// WorkerSpec is a TaskManager's size; the zero value is resourcemanager.WorkerSpecOf(Configuration()).
	WorkerSpec() resourcemanager.WorkerSpec
	// LogLocation is where the epoch log is kept if high-availability.storageDir isn't set; "" for memory.
	LogLocation() string
	// WorkerDriver makes the driver that brings TaskManagers. restURL and rpcAddress (host:port) are where this process
	// listens. It is called once and contacts nobody. If the driver is a Registrar, Register is called at once. Its
	// Deregister is called a second time where the first call failed or wasn't reached.
	WorkerDriver(restURL, rpcAddress string, log *slog.Logger) (resourcemanager.WorkerDriver, error)
}

// Registrar is a resourcemanager.WorkerDriver that can register before it is started, so that the rest of the process
// starts meanwhile.
type Registrar interface {
	Register(ctx context.Context) error
}

// ApplicationProvider is what a JobManagerProvider in ModeApplication also is.
type ApplicationProvider interface {
	// Application is the driver's local executable and its arguments, and the artifact that task hosts run.
	Application() (path string, args []string, a *graph.Artifact)
	// PutCachedFile brings a cached file that the application registers, of this machine, to where TaskManagers can fetch it.
	PutCachedFile(ctx context.Context, path string) (artifact.Artifact, error)
}

// JobGraphProvider is what a JobManagerProvider in ModePerJob also is.
type JobGraphProvider interface {
	// JobGraph is the job to run, its artifact set. attached says that a client waits for the result: the cluster then
	// gives it time to fetch it before it ends.
	JobGraph() (g *graph.JobGraph, attached bool, err error)
}

// TaskManagerProvider is a TaskManager's process as its provider knows it.
type TaskManagerProvider interface {
	Process
	// Leaf is the process' certificate.
	Leaf() *rpc.Leaf
	// JobManager is the JobManager's rpc address, host:port.
	JobManager() string
	// ArtifactDir is where executables are kept; TaskManagers of one node may share it.
	ArtifactDir() string
	// ExitOnDisconnect says that the process ends when it has lost the JobManager, as on YARN; otherwise it registers
	// again.
	ExitOnDisconnect() bool
}
