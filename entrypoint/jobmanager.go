package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"path"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/rest"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/jobmanager"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc"
)

// lastTry bounds the second call of Deregister.
const lastTry = 10 * time.Second

// RunJobManager runs a JobManager's process until the cluster has ended. A SIGTERM or SIGINT, or the end of ctx, ends it
// in order. It returns the exit code; err says what went wrong, if anything did.
func RunJobManager(ctx context.Context, p JobManagerProvider) (code int, err error) {
	log, file, err := openLog(p, "jobmanager.log")
	if err != nil {
		return ExitStartup, err
	}
	defer func() {
		if err != nil {
			log.Error("JobManager failed", "error", err)
		}
		log.Info("JobManager process ends", "exitCode", code)
		file.Close()
	}()
	j := &jobManager{p: p, conf: p.Configuration(), mode: Mode(p.Mode()), log: log, delivered: newDeliveries()}
	if err := j.prepare(); err != nil {
		return ExitStartup, err
	}
	return j.run(ctx)
}

// jobManager is the DispatcherResourceManagerComponent: the roles and what they are reached by.
type jobManager struct {
	p    JobManagerProvider
	conf conf.Configuration
	mode Mode
	log  *slog.Logger

	restListener net.Listener
	rest         *rest.Server
	store        *rest.Store
	rpcListener  net.Listener
	rpc          *rpc.Server
	driver       resourcemanager.WorkerDriver
	roles        *jobmanager.JobManager
	delivered    *deliveries

	mu      sync.Mutex // guards verdict
	verdict *verdict
}

// verdict is how the cluster's work ended.
type verdict struct {
	status      resourcemanager.FinalStatus
	diagnostics string
}

// prepare checks what can be checked, opens the ports and makes what needs no network.
func (j *jobManager) prepare() error {
	switch j.mode {
	case ModeSession, ModePerJob, ModeApplication:
	default:
		return fmt.Errorf("run a JobManager: unknown mode %q", j.mode)
	}
	if err := j.limitMemory(); err != nil {
		return err
	}
	var err error
	if j.restListener, err = listen("REST", bindHost(conf.Get(j.conf, conf.RestBindAddress), j.p.Host()),
		conf.Get(j.conf, conf.RestBindPort), conf.RestBindPort.Key()); err != nil {
		return err
	}
	if j.rpcListener, err = listen("TaskManagers", bindHost(conf.Get(j.conf, conf.JobManagerBindHost), j.p.Host()),
		j.p.RPCPorts(), conf.JobManagerRpcPort.Key()); err != nil {
		return errors.Join(err, j.restListener.Close())
	}
	if err := j.prepareServers(); err != nil {
		return errors.Join(err, j.restListener.Close(), j.rpcListener.Close())
	}
	return nil
}

func (j *jobManager) prepareServers() (err error) {
	if j.store, err = rest.NewStore(filepath.Join(j.p.TempDir(), "artifacts")); err != nil {
		return err
	}
	c := rest.Config{
		Conf: j.conf, Token: j.p.RESTToken(), LogDir: j.p.LogDir(), LogFile: "jobmanager.log", StdoutFile: "jobmanager.out",
		ResultDelivered: j.delivered.add, Log: j.log.With("role", "rest"),
	}
	if j.mode == ModeSession {
		c.Artifacts = j.store
	} else {
		c.SubmitRefused = fmt.Sprintf("this cluster was deployed in %s mode and runs nothing else; deploy a session to submit jobs to", j.mode)
	}
	if j.rest, err = rest.New(c); err != nil {
		return err
	}
	url := "http://" + advertised(j.p.Host(), j.restListener)
	j.driver, err = j.p.WorkerDriver(url, advertised(j.p.Host(), j.rpcListener), j.log.With("role", "workers"))
	return err
}

// limitMemory sets the soft limit of this process' memory. The driver's is its own.
func (j *jobManager) limitMemory() error {
	limit := conf.Get(j.conf, conf.JobManagerMemoryProcessSize)
	if j.mode == ModeApplication {
		b, err := conf.JobManagerMemory(j.conf)
		if err != nil {
			return err
		}
		limit = b.JobManager
	}
	if limit != conf.Unlimited {
		debug.SetMemoryLimit(int64(conf.GoMemoryLimit(limit)))
	}
	return nil
}

// run serves REST at once, registers and takes the epoch side by side, and then runs the roles.
func (j *jobManager) run(ctx context.Context) (int, error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	var servers sync.WaitGroup
	servers.Go(func() {
		if err := j.rest.Serve(serving, j.restListener); err != nil {
			j.log.Error("REST endpoint ended", "error", err)
		}
	})
	defer servers.Wait()
	defer stopServing()

	if err := j.start(ctx); err != nil {
		return ExitStartup, errors.Join(err, j.rpcListener.Close(), j.deregister(statusOf(err), err.Error()))
	}
	servers.Go(func() {
		if err := j.rpc.Serve(j.rpcListener); err != nil {
			j.fail(fmt.Errorf("TaskManagers can't register any more: %w", err))
		}
	})
	defer j.rpc.Close()
	j.rest.SetBackend(rest.Backend{Jobs: j.roles.Dispatcher(), Cluster: component{j.roles, j}})
	return j.work(ctx)
}

// start registers the cluster and takes the epoch, and makes the roles.
func (j *jobManager) start(ctx context.Context) error {
	started := time.Now()
	var epoch *ha.Epoch
	var records []ha.Record
	g, gctx := errgroup.WithContext(ctx)
	if r, ok := j.driver.(Registrar); ok {
		g.Go(func() error { return r.Register(gctx) })
	}
	g.Go(func() (err error) {
		epoch, records, err = j.acquire(gctx)
		return err
	})
	var leaf *rpc.Leaf
	g.Go(func() (err error) {
		leaf, err = j.p.Authority().Issue(rpc.RoleJobManager, j.p.ResourceID())
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	var err error
	j.roles, err = jobmanager.New(jobmanager.Config{
		Name: j.p.ResourceID(), Conf: j.conf, Driver: j.driver, Spec: j.p.WorkerSpec(), Log: epoch, Records: records, Files: j.p.Files(),
		Reattach: j.mode != ModeSession, Artifacts: artifacts{j.store}, Logger: j.log,
	})
	if err != nil {
		return err
	}
	j.rpc, err = rpc.NewServer(rpc.ServerConfig{
		Handler: j.roles, TLS: leaf.ServerTLS(), Artifacts: j.roles.OpenArtifact, JobManager: advertised(j.p.Host(), j.rpcListener),
		HeartbeatInterval: conf.Get(j.conf, conf.HeartbeatInterval), HeartbeatTimeout: conf.Get(j.conf, conf.HeartbeatTimeout),
		Log: j.log.With("role", "rpc"),
	})
	j.log.Info("JobManager started", "cluster", j.p.ClusterID(), "mode", string(j.mode), "took", time.Since(started),
		"rest", advertised(j.p.Host(), j.restListener), "rpc", advertised(j.p.Host(), j.rpcListener), "epoch", epoch.Number())
	return err
}

// acquire takes the epoch, where high-availability.storageDir says or the provider.
func (j *jobManager) acquire(ctx context.Context) (*ha.Epoch, []ha.Record, error) {
	where := conf.Get(j.conf, conf.HighAvailabilityStorageDir)
	if where == "" {
		where = j.p.LogLocation()
	} else {
		where += "/" + path.Clean("/" + conf.Get(j.conf, conf.HighAvailabilityClusterId))[1:]
	}
	log := ha.NewMemory()
	if where != "" {
		fsys, dir, err := j.p.Files().Resolve(where)
		if err != nil {
			return nil, nil, fmt.Errorf("find the epoch log: %w", err)
		}
		log = ha.Open(fsys, dir)
	}
	return log.Acquire(ctx)
}

// work runs the roles and the bootstrap until both have ended.
func (j *jobManager) work(ctx context.Context) (int, error) {
	bctx, stopBootstrap := context.WithCancel(context.WithoutCancel(ctx))
	var bootstrap sync.WaitGroup
	bootstrap.Go(func() { j.bootstrap(bctx) })
	bootstrap.Go(func() {
		select {
		case <-ctx.Done():
			j.interrupted()
		case <-bctx.Done():
		}
	})
	err := j.roles.Run(context.WithoutCancel(ctx))
	stopBootstrap()
	bootstrap.Wait()
	v := j.decided()
	if err != nil {
		return ExitFatal, errors.Join(err, j.deregister(statusOf(err), err.Error()))
	}
	switch v.status {
	case resourcemanager.StatusSucceeded, resourcemanager.StatusKilled:
		return ExitOK, nil
	case resourcemanager.StatusFailed:
		return ExitFailed, nil
	}
	return ExitUnknown, nil
}

// statusOf is the cluster's final status after an error. Where another JobManager leads that is for it to say.
func statusOf(err error) resourcemanager.FinalStatus {
	if errors.Is(err, ha.ErrFenced) {
		return resourcemanager.StatusUndefined
	}
	return resourcemanager.StatusFailed
}

// interrupted ends the cluster on a signal. With high availability another JobManager may follow, and jobs are left to it.
func (j *jobManager) interrupted() {
	if conf.HighAvailabilityEnabled(j.conf) {
		j.end(resourcemanager.StatusUndefined, "the JobManager was stopped by a signal")
		return
	}
	j.end(resourcemanager.StatusKilled, "the JobManager was stopped by a signal")
}

// fail ends the cluster because something that must not end did.
func (j *jobManager) fail(err error) { j.end(resourcemanager.StatusFailed, err.Error()) }

// end asks for the end of the cluster. The first call counts.
func (j *jobManager) end(status resourcemanager.FinalStatus, diagnostics string) {
	j.mu.Lock()
	if j.verdict == nil {
		j.verdict = &verdict{status, diagnostics}
	}
	v := *j.verdict
	j.mu.Unlock()
	j.roles.RequestShutdown(v.status, v.diagnostics)
}

func (j *jobManager) decided() verdict {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.verdict == nil {
		return verdict{}
	}
	return *j.verdict
}

// deregister is the second try, where the roles didn't come to it.
func (j *jobManager) deregister(status resourcemanager.FinalStatus, diagnostics string) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	return j.driver.Deregister(ctx, status, diagnostics)
}

// component is the JobManager as REST sees it: an end that a client asks for is the cluster's verdict.
type component struct {
	*jobmanager.JobManager
	j *jobManager
}

// RequestShutdown implements rest.Cluster.
func (c component) RequestShutdown(status resourcemanager.FinalStatus, diagnostics string) {
	c.j.end(status, diagnostics)
}

// artifacts adapts the REST endpoint's store.
type artifacts struct{ store *rest.Store }

func (a artifacts) Open(ctx context.Context, sha256 []byte) (io.ReadCloser, error) {
	f, err := a.store.Open(ctx, sha256)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rpc.ErrArtifactNotFound, err)
	}
	return f, nil
}
