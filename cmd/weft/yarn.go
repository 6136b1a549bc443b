package main

import (
	"context"
	"errors"
	"os"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/entrypoint"
	"github.com/weftstream/weft/yarn"
)

// yarnJobManager is the application master's process. Its mode stands in what the client left for it.
func yarnJobManager(ctx context.Context, _ conf.Configuration) (code int, err error) {
	m, err := yarn.OpenJobManager(os.Getenv)
	if err != nil {
		return entrypoint.ExitStartup, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return entrypoint.RunJobManager(ctx, m)
}

// yarnTaskManager is the process of every other container.
func yarnTaskManager(ctx context.Context, _ conf.Configuration) (code int, err error) {
	m, err := yarn.OpenTaskManager(os.Getenv)
	if err != nil {
		return entrypoint.ExitTaskManagerStartup, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return entrypoint.RunTaskManager(ctx, m)
}
