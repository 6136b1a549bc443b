package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/rpc"
)

// Defaults of the durations in Config.
const (
	DefaultRegistrationTimeout = 5 * time.Minute
	DefaultSlotTimeout         = 10 * time.Second
	DefaultShutdownGrace       = 5 * time.Second
)

var (
	// ErrRegistration is wrapped by Run's error when no JobManager accepted the TaskManager within the registration
	// timeout, or one rejected it.
	ErrRegistration = errors.New("registration failed")

	// ErrJobManagerLost is wrapped by Run's error when the connection has ended and ExitOnDisconnect is set.
	ErrJobManagerLost = errors.New("connection to the JobManager lost")
)

// Artifacts brings a job's executable to the local disk, once for each content; the entrypoint adapts runtime/artifact's
// Fetcher to it.
type Artifacts interface {
	// Fetch returns the path of an executable file whose SHA-256 was checked. get streams from the JobManager, for an
	// artifact without a URI. It is called concurrently.
	Fetch(ctx context.Context, a *graph.Artifact, get rpc.Artifacts) (path string, err error)
}

// Config is what a TaskManager needs. Durations that are zero have the default named.
type Config struct {
	// ResourceID names the TaskManager: the container's id on YARN. Required.
	ResourceID string
	// Hostname is where it runs, for people and locality.
	Hostname string
	// JobManager is how to register: rpc.Dial or rpc.Pipe. Required.
	JobManager rpc.Connector
	// Starter starts task hosts. Required.
	Starter HostStarter
	// Artifacts fetches executables; nil for a Starter that needs none.
	Artifacts Artifacts

	// Slots is the number of task slots, at least 1.
	Slots int
	// SlotMemory is the memory in bytes that a task host gets for each slot its job has here; 0 = unlimited.
	SlotMemory int64
	// CPU is the cores of the whole TaskManager, divided among the slots; 0 = not said, and hosts use all.
	CPU float64
	// PhysicalMemory is the node's memory in bytes, for people.
	PhysicalMemory int64

	// Data is the data port's listener; the TaskManager closes it. nil: no data connections from elsewhere.
	Data net.Listener
	// DataAddress is the data port as other TaskManagers reach it, host:port.
	DataAddress string

	// LocalStateDir is for the copies that task hosts keep of their state files, if their job wants that; a directory below
	// it for each job. The TaskManager removes a job's when the job has left it, and all of it when a session ends. "": no
	// copies are kept.
	LocalStateDir string

	// CachedFileDir is for the local copies of jobs' cached files, with the same life as those in LocalStateDir, from which it
	// differs. Required for jobs that have some. Files are the file systems that they are fetched from; nil: file: alone.
	CachedFileDir string
	Files         *filesystem.Set

	// LogDir is where the log files are, for people.
	LogDir string

	// RegistrationTimeout is how long to try to register (taskmanager.registration.timeout), default 5 min.
	RegistrationTimeout time.Duration
	// SlotTimeout frees and refuses a slot whose job was given nothing to run for so long after the allocation
	// (taskmanager.slot.timeout), default 10 s; negative: never. The same AllocateSlot again starts it anew. A JobMaster
	// may have to wait for slots elsewhere before it deploys: the value shouldn't be below slot.request.timeout.
	SlotTimeout time.Duration
	// ShutdownGrace is how long a task host may take to end before it is killed, default 5 s.
	ShutdownGrace time.Duration
	// ExitOnDisconnect makes Run return ErrJobManagerLost when the JobManager's connection ends, as on YARN; otherwise
	// the TaskManager registers again.
	ExitOnDisconnect bool

	// Log is where the TaskManager logs; slog.Default when nil.
	Log *slog.Logger
}

// check fills in defaults and returns what is wrong.
func (c *Config) check() error {
	setDefault(&c.RegistrationTimeout, DefaultRegistrationTimeout)
	setDefault(&c.SlotTimeout, DefaultSlotTimeout)
	setDefault(&c.ShutdownGrace, DefaultShutdownGrace)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Log = c.Log.With("taskmanager", c.ResourceID)
	switch {
	case c.ResourceID == "":
		return errors.New("make a TaskManager: no resource id")
	case c.JobManager == nil:
		return errors.New("make a TaskManager: no JobManager")
	case c.Starter == nil:
		return errors.New("make a TaskManager: nothing to start task hosts with")
	case c.Slots < 1:
		return fmt.Errorf("make a TaskManager: taskmanager.numberOfTaskSlots is %d, want at least 1", c.Slots)
	case c.SlotMemory < 0:
		return fmt.Errorf("make a TaskManager: %d bytes of memory for each slot", c.SlotMemory)
	case c.Data != nil && c.DataAddress == "":
		return errors.New("make a TaskManager: a data port without an address")
	}
	return nil
}

func setDefault(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}
