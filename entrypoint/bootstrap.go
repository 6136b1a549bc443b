package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

const (
	// driverFailed is the exit code of an application whose driver function returned an error: stream.ExitFailed.
	driverFailed = 1
	// cancelledGrace is how long an application may go on after one of its jobs was cancelled.
	cancelledGrace = 5 * time.Second
	// resultGrace is how long an attached client of a per-job cluster may take to fetch the result.
	resultGrace = 30 * time.Second
	// lingerTime is how long an attached client of an application may take for the results of its jobs, and clientGone for
	// how long one that is there never asks for nothing.
	lingerTime = 5 * time.Second
	clientGone = 2 * time.Second
)

// bootstrap is the DispatcherBootstrap: it does what the cluster was deployed for and then ends it. It returns when that
// is done or ctx has ended. In a session that is nothing: REST ends it.
func (j *jobManager) bootstrap(ctx context.Context) {
	var v verdict
	switch j.mode {
	case ModeApplication:
		v = j.runApplication(ctx)
	case ModePerJob:
		v = j.runJobGraph(ctx)
	default:
		return
	}
	if ctx.Err() != nil {
		return // the cluster has ended for another reason
	}
	j.log.Info("work done", "status", v.status.String())
	if j.mode == ModeApplication && !conf.Get(j.conf, conf.ExecutionShutdownOnApplicationFinish) {
		j.log.Info("the cluster stays, as " + conf.ExecutionShutdownOnApplicationFinish.Key() + " is false")
		return
	}
	j.end(v.status, v.diagnostics)
}

// runJobGraph runs the one job of a per-job cluster.
func (j *jobManager) runJobGraph(ctx context.Context) verdict {
	p, ok := j.p.(JobGraphProvider)
	if !ok {
		return failed("the cluster was deployed in per-job mode without a job")
	}
	g, attached, err := p.JobGraph()
	if err != nil {
		return failed(err.Error())
	}
	id, err := j.roles.Dispatcher().Submit(ctx, g)
	if err != nil {
		return failed(err.Error())
	}
	if attached && conf.Get(j.conf, conf.ExecutionShutdownOnAttachedExit) {
		// The client may die before its first heartbeat, which it repeats after rest.retry.delay if it came too early.
		j.rest.ExpectHeartbeats(id, conf.Get(j.conf, conf.ClientHeartbeatTimeout)+conf.Get(j.conf, conf.RestRetryDelay))
	}
	r, err := j.roles.Dispatcher().Await(ctx, id)
	if err != nil {
		return failed(err.Error())
	}
	j.awaitOperations(ctx)
	if attached {
		j.awaitDelivery(ctx, id)
	}
	return judge([]executor.Run{{ID: id, Name: g.GetName(), Result: r}})
}

// awaitOperations gives whoever stopped a job with a savepoint time to learn where it is.
func (j *jobManager) awaitOperations(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, lingerTime)
	defer cancel()
	if err := j.rest.DrainOperations(limited); err != nil && ctx.Err() == nil {
		j.log.Info("no client has asked how an operation ended", "error", err)
	}
}

// awaitDelivery waits until the client knows the result, which it can't ask for once the cluster has ended. How long it
// doesn't ask says nothing: it may have other things to do first.
func (j *jobManager) awaitDelivery(ctx context.Context, id graph.JobID) {
	left := j.delivered.await(ctx, []graph.JobID{id}, resultGrace, func() bool { return false })
	if len(left) > 0 && ctx.Err() == nil {
		j.log.Warn("no client has fetched the job's result", "job", id.String(), "within", resultGrace)
	}
}

// linger gives an attached client time to learn the results of an application's jobs, which may have ended before it
// first asked for them. There is no waiting for one that has asked and then stopped asking: it has gone.
func (j *jobManager) linger(ctx context.Context, runs []executor.Run) {
	j.awaitOperations(ctx)
	if !conf.Get(j.conf, conf.ExecutionAttached) {
		return
	}
	var ids []graph.JobID
	for _, run := range runs {
		ids = append(ids, run.ID)
	}
	left := j.delivered.await(ctx, ids, lingerTime, func() bool {
		idle, asked := j.rest.Idle()
		return asked && idle > clientGone
	})
	for _, id := range left {
		j.log.Info("no client has fetched the job's result", "job", id.String())
	}
}

// runApplication runs the application as driver and waits for all of its jobs.
func (j *jobManager) runApplication(ctx context.Context) verdict {
	p, ok := j.p.(ApplicationProvider)
	if !ok {
		return failed("the cluster was deployed in application mode without an application")
	}
	path, args, artifact := p.Application()
	stdout, stderr, err := j.driverOutput()
	if err != nil {
		return failed(err.Error())
	}
	defer stdout.Close()
	defer stderr.Close()

	driver, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := &jobWatch{j: j, stop: stop}
	embedded := executor.NewEmbedded(j.roles.Dispatcher(), artifact, p.PutCachedFile, executor.Options{
		Conf: j.conf, Hooks: executor.Hooks{Submitted: func(id graph.JobID, name string) { w.watch(driver, id, name) }},
		Log: j.log,
	})
	_, err = executor.RunDriver(driver, executor.DriverSpec{
		Executable: path, Args: args, Name: artifact.GetName(), Env: j.driverEnvironment(), Stdout: stdout, Stderr: stderr,
		Memory: j.driverMemory(),
	}, embedded, j.log.With("role", "driver"))
	if err == nil {
		_, err = embedded.AwaitAll(driver)
	}
	stop(nil)
	w.wg.Wait()
	for _, run := range embedded.Jobs() { // the results that have come meanwhile
		if r, ok := j.roles.Dispatcher().Result(run.ID); ok && r != nil {
			w.note(run, r)
		}
	}
	j.linger(ctx, embedded.Jobs())
	return w.judge(err)
}

// jobWatch waits for the end of each job, also of those the application doesn't wait for: one that was cancelled ends the
// cluster.
type jobWatch struct {
	j    *jobManager
	stop context.CancelCauseFunc // stops the driver
	wg   sync.WaitGroup

	mu   sync.Mutex // guards ended
	runs []executor.Run
}

var errCancelled = errors.New("a job of the application was cancelled")

func (w *jobWatch) watch(ctx context.Context, id graph.JobID, name string) {
	w.wg.Go(func() {
		r, err := w.j.roles.Dispatcher().Await(ctx, id)
		if err != nil {
			return // the driver's own wait says so
		}
		w.note(executor.Run{ID: id, Name: name}, r)
		if r.GetStatus() != linkpb.JobStatus_CANCELED {
			return
		}
		timer := time.NewTimer(cancelledGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			w.stop(errCancelled)
		case <-ctx.Done():
		}
	})
}

// note records a result once.
func (w *jobWatch) note(run executor.Run, r *linkpb.JobResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, known := range w.runs {
		if known.ID == run.ID {
			return
		}
	}
	run.Result = r
	w.runs = append(w.runs, run)
}

// judge makes the final status out of the jobs' and of how the driver ended.
func (w *jobWatch) judge(err error) verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := judge(w.runs)
	if err == nil || v.status == resourcemanager.StatusKilled {
		return v
	}
	text := w.driverText(err)
	switch {
	case v.status != resourcemanager.StatusFailed:
		return failed(text)
	case text != "":
		return failed(v.diagnostics + "\n" + text)
	}
	return v
}

// driverText says how the driver ended, with the end of its standard error. A driver that ended because a job failed
// repeats the job's failure, which has been said: then it is "", or what else there is to say. The mutex is held.
func (w *jobWatch) driverText(err error) string {
	var driver *executor.DriverError
	if !errors.As(err, &driver) {
		return err.Error()
	}
	tail := strings.TrimSpace(driver.StderrTail)
	for _, run := range w.runs {
		switch {
		case run.Result.GetStatus() != linkpb.JobStatus_FAILED || !strings.Contains(tail, run.ID.String()):
		case driver.ExitCode == driverFailed:
			return ""
		default:
			return err.Error()
		}
	}
	switch {
	case tail == "":
		return err.Error()
	case !strings.Contains(tail, "\n"):
		return err.Error() + ": " + tail
	}
	return err.Error() + "; the end of its standard error:\n" + tail
}

// judge maps the ends of jobs to the cluster's: one cancelled is KILLED, else one failed is FAILED.
func judge(runs []executor.Run) verdict {
	v := verdict{status: resourcemanager.StatusSucceeded}
	for _, run := range runs {
		switch run.Result.GetStatus() {
		case linkpb.JobStatus_CANCELED:
			return verdict{resourcemanager.StatusKilled, fmt.Sprintf("job %q (%s) was cancelled", run.Name, run.ID)}
		case linkpb.JobStatus_FINISHED:
		default:
			if v.status != resourcemanager.StatusFailed {
				v = failed(fmt.Sprintf("job %q (%s) ended %s%s", run.Name, run.ID, run.Result.GetStatus(), cause(run.Result)))
			}
		}
	}
	return v
}

func cause(r *linkpb.JobResult) string {
	f := r.GetFailure()
	if f == nil {
		return ""
	}
	s := ": " + link.FailureText(f.GetMessage(), f.GetOperator(), int(f.GetSubtask()))
	if f.GetStack() != "" {
		s += "\n" + f.GetStack()
	}
	return s
}

func failed(diagnostics string) verdict {
	return verdict{resourcemanager.StatusFailed, diagnostics}
}

func (j *jobManager) driverOutput() (stdout, stderr *rolled, err error) {
	if stdout, err = openProcessLog(j.p, "driver.out"); err != nil {
		return nil, nil, err
	}
	if stderr, err = openProcessLog(j.p, "driver.err"); err != nil {
		stdout.Close()
	}
	return stdout, stderr, err
}

// keptEnvironment is what the driver gets of this process' environment, as a task host does.
var keptEnvironment = []string{"PATH", "HOME", "TZ", "USER", "LANG", "HADOOP_USER_NAME", "HADOOP_TOKEN_FILE_LOCATION"}

// driverEnvironment is the driver's, with the limit of its part of the JobManager's memory.
func (j *jobManager) driverEnvironment() []string {
	var env []string
	for _, name := range keptEnvironment {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range j.conf.WithPrefix(conf.ContainerizedMasterEnv.Key()) {
		env = append(env, name+"="+v)
	}
	env = append(env, "TMPDIR="+j.p.TempDir())
	if b := j.driverMemory(); b > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(int64(conf.GoMemoryLimit(conf.MemorySize(b))), 10))
	}
	return env
}

// driverMemory is the driver's part of the JobManager's memory in bytes; 0 if it isn't known.
func (j *jobManager) driverMemory() int64 {
	b, err := conf.JobManagerMemory(j.conf)
	if err != nil {
		return 0
	}
	return int64(b.Driver)
}
