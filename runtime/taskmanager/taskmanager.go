package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// The wait between two attempts to register doubles from the first to the second.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// TaskManager is the TaskManager role.
type TaskManager struct {
	c       Config
	current atomic.Pointer[session] // for the data port
}

// New checks c and starts nothing.
func New(c Config) (*TaskManager, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &TaskManager{c: c}, nil
}

// Run registers with the JobManager and serves it until ctx ends or the JobManager shuts the TaskManager down (both nil),
// or it has to give up: ErrRegistration, ErrJobManagerLost. All task hosts have ended when it returns. It is called once.
func (t *TaskManager) Run(ctx context.Context) error {
	if t.c.Data != nil {
		stop := t.serveData()
		defer stop()
	}
	for {
		conn, registered, err := t.register(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		t.c.Log.Info("registered", "jobmanager", registered.GetJobmanager(), "slots", t.c.Slots)
		s := newSession(t, conn, registered)
		t.current.Store(s)
		again, err := s.run(ctx)
		t.current.Store(nil)
		if !again || ctx.Err() != nil {
			return err
		}
		if t.c.ExitOnDisconnect {
			return fmt.Errorf("%w: %w", ErrJobManagerLost, err)
		}
	}
}

// register tries until a JobManager has accepted the TaskManager.
func (t *TaskManager) register(ctx context.Context) (rpc.Conn, *rpcpb.Registered, error) {
	attempts, cancel := context.WithTimeout(ctx, t.c.RegistrationTimeout)
	defer cancel()
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		conn, registered, err := t.c.JobManager.Connect(attempts, t.registration())
		if err == nil {
			return conn, registered, nil
		}
		var rejected *rpc.RejectedError
		if errors.As(err, &rejected) {
			return nil, nil, fmt.Errorf("%w: %w", ErrRegistration, err)
		}
		t.c.Log.Info("cannot register yet", "error", err, "next", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-attempts.Done():
			timer.Stop()
			return nil, nil, fmt.Errorf("%w within taskmanager.registration.timeout (%s): %w",
				ErrRegistration, t.c.RegistrationTimeout, err)
		}
	}
}

func (t *TaskManager) registration() *rpcpb.Register {
	return &rpcpb.Register{
		Version: link.ThisVersion(), ResourceId: t.c.ResourceID, Host: t.c.Hostname, DataAddress: t.c.DataAddress,
		Slots: int32(t.c.Slots), SlotMemory: t.c.SlotMemory, Cpu: t.c.CPU, Pid: int32(os.Getpid()),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, PhysicalMemory: t.c.PhysicalMemory, LogDir: t.c.LogDir,
	}
}
