package yarntest

import (
	"context"

	"github.com/weftstream/weft/hadoop/records"
)

// Signal is what signalToContainer delivers; the numbers are YARN's.
type Signal int32

// The signals.
const (
	SignalThreadDump Signal = 1 // SIGQUIT
	SignalGraceful   Signal = 2 // SIGTERM
	SignalForceful   Signal = 3 // SIGKILL
)

// Launch is one container to run.
type Launch struct {
	ID       records.ContainerID
	Node     records.NodeID
	Resource records.Resource
	Master   bool // of the application
	User     string
	// Context is what the container is launched with. Its Credentials are the
	// content of the container's token file and never nil.
	Context records.LaunchContext
	Signals <-chan Signal
}

// Launcher runs one container until it ends by itself or ctx ends, and returns
// its exit status and diagnostics. Each call has a goroutine of its own.
type Launcher func(ctx context.Context, l *Launch) (exit int32, diagnostics string)

// Idle is a container that does nothing until it is killed or signalled.
func Idle(ctx context.Context, l *Launch) (int32, string) {
	for {
		select {
		case <-ctx.Done():
			return records.ExitAborted, ""
		case s := <-l.Signals:
			switch s {
			case SignalGraceful:
				return 143, "Exit code from container is 143"
			case SignalForceful:
				return 137, "Exit code from container is 137"
			}
		}
	}
}
