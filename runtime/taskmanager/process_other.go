//go:build !linux

package taskmanager

import (
	"context"
	"errors"
	"fmt"
)

// ProcessStarter starts task hosts as processes; on Linux only.
type ProcessStarter struct{}

var errNoProcesses = fmt.Errorf("task hosts as processes: %w: they run on Linux", errors.ErrUnsupported)

// NewProcessStarter fails on this platform.
func NewProcessStarter(ProcessConfig) (*ProcessStarter, error) { return nil, errNoProcesses }

// Start fails on this platform.
func (p *ProcessStarter) Start(context.Context, HostSpec) (Host, error) { return nil, errNoProcesses }

// Close does nothing.
func (p *ProcessStarter) Close() {}
