package stream

import (
	"log/slog"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/minicluster"
)

// NewClusterDriver makes a driver whose jobs run on a MiniCluster that made gets. Without TaskManagers they are made as needed.
func NewClusterDriver(configuration map[string]string, taskManagers, slots int, log *slog.Logger, made func(*minicluster.MiniCluster)) *Driver {
	d := newDriver(configuration, nil)
	d.local = true
	d.connect = func(c conf.Configuration, files *filesystem.Set) (executor, error) {
		m, err := minicluster.New(minicluster.Config{Conf: c, Files: files, TaskManagers: taskManagers, SlotsPerTaskManager: slots, Log: log,
			Build: func(name string, params []byte) (*graph.StreamGraph, error) { return buildGraph(name, params, files) }})
		if err != nil {
			return nil, err
		}
		made(m)
		return m, nil
	}
	return d
}
