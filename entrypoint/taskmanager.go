package entrypoint

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/taskmanager"
)

// RunTaskManager runs a TaskManager's process until the JobManager shuts it down or is lost, or a SIGTERM, SIGINT or the
// end of ctx ends it. It returns the exit code; err says what went wrong, if anything did.
func RunTaskManager(ctx context.Context, p TaskManagerProvider) (code int, err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log, file, err := openLog(p, "taskmanager.log")
	if err != nil {
		return ExitTaskManagerStartup, err
	}
	defer func() {
		if err != nil {
			log.Error("TaskManager failed", "error", err)
		}
		log.Info("TaskManager process ends", "exitCode", code)
		file.Close()
	}()
	starter, t, err := newTaskManager(p, log)
	if err != nil {
		return ExitTaskManagerStartup, err
	}
	defer starter.Close()
	if err := t.Run(ctx); err != nil {
		return ExitStartup, err
	}
	return ExitOK, nil
}

func newTaskManager(p TaskManagerProvider, log *slog.Logger) (starter *taskmanager.ProcessStarter, t *taskmanager.TaskManager, err error) {
	c := p.Configuration()
	budget, err := conf.TaskManagerMemory(c)
	if err != nil {
		return nil, nil, err
	}
	debug.SetMemoryLimit(int64(conf.GoMemoryLimit(budget.Framework)))
	fetcher, err := artifact.NewFetcher(p.ArtifactDir(), artifact.FromSet(p.Files()))
	if err != nil {
		return nil, nil, err
	}
	ports, isSet := conf.Lookup(c, conf.TaskManagerDataBindPort)
	if !isSet {
		ports = conf.PortRange{{First: 0, Last: 0}}
	}
	data, err := listen("data", bindHost(conf.Get(c, conf.TaskManagerBindHost), p.Host()), ports, conf.TaskManagerDataBindPort.Key())
	if err != nil {
		return nil, nil, err
	}
	starter, err = taskmanager.NewProcessStarter(taskmanager.ProcessConfig{
		TempDir: p.TempDir(), LogDir: p.LogDir(), Environment: c.WithPrefix(conf.ContainerizedTaskManagerEnv.Key()),
		Subreaper: true, Log: log,
	})
	if err != nil {
		return nil, nil, errors.Join(err, data.Close())
	}
	t, err = taskmanager.New(taskManagerConfig(p, budget, data, starter, fetcher, log))
	if err != nil {
		starter.Close()
		return nil, nil, errors.Join(err, data.Close())
	}
	return starter, t, nil
}

func taskManagerConfig(p TaskManagerProvider, b conf.TaskManagerBudget, data net.Listener, starter taskmanager.HostStarter,
	fetcher *artifact.Fetcher, log *slog.Logger) taskmanager.Config {
	c := p.Configuration()
	cpu, isSet := conf.Lookup(c, conf.TaskManagerCpuCores)
	if !isSet {
		cpu = float64(b.Slots)
	}
	return taskmanager.Config{
		ResourceID: p.ResourceID(), Hostname: p.Host(),
		JobManager: rpc.Dial(p.JobManager(), p.Leaf().ClientTLS()),
		Starter:    starter, Artifacts: executables{fetcher, p.ArtifactDir()},
		Slots: b.Slots, SlotMemory: int64(b.Slot.Total), CPU: cpu, PhysicalMemory: physicalMemory(),
		Data: data, DataAddress: advertised(p.Host(), data), LogDir: p.LogDir(),
		LocalStateDir:       filepath.Join(p.TempDir(), "local-state"),
		CachedFileDir:       filepath.Join(p.TempDir(), "cached-files"),
		Files:               p.Files(),
		RegistrationTimeout: conf.Get(c, conf.TaskManagerRegistrationTimeout),
		// A job's first slots wait here until the last one has come.
		SlotTimeout:      max(conf.Get(c, conf.TaskManagerSlotTimeout), conf.Get(c, conf.SlotRequestTimeout)),
		ExitOnDisconnect: p.ExitOnDisconnect(), Log: log,
	}
}
