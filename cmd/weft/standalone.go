package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/entrypoint"
	"github.com/weftstream/weft/standalone"
)

// jobManager is the JobManager of a standalone cluster.
func jobManager(ctx context.Context, c conf.Configuration) (code int, err error) {
	m, err := standalone.OpenJobManager(c, os.Getenv)
	if err != nil {
		return entrypoint.ExitStartup, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	fmt.Fprintln(os.Stderr, "Starting the JobManager; its log is in", m.LogDir())
	return entrypoint.RunJobManager(ctx, m)
}

// taskManager is a TaskManager of a standalone cluster.
func taskManager(ctx context.Context, c conf.Configuration) (code int, err error) {
	m, err := standalone.OpenTaskManager(ctx, c, os.Getenv)
	if err != nil {
		return entrypoint.ExitTaskManagerStartup, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	fmt.Fprintln(os.Stderr, "Starting TaskManager", m.ResourceID()+"; its log is in", m.LogDir())
	return entrypoint.RunTaskManager(ctx, m)
}
