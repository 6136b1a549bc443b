package rest

import (
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/rest/view"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

func (s *Server) config(*call) (any, error) {
	zone, seconds := time.Now().Zone()
	return api.DashboardConfig{RefreshInterval: conf.Get(s.c.Conf, conf.WebRefreshInterval).Milliseconds(),
		TimezoneName: zone, TimezoneOffset: seconds * 1000, Version: link.Version, Revision: revision(),
		Features: api.Features{WebCancel: conf.Get(s.c.Conf, conf.WebCancelEnable)}}, nil
}

// revision is the commit that this executable was built from, where the build noted it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit, at := "unknown", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(7, len(s.Value))]
		case "vcs.time":
			at = " @ " + s.Value
		}
	}
	return commit + at
}

func (s *Server) overview(c *call) (any, error) {
	o := c.Cluster.Overview()
	return api.ClusterOverview{TaskManagers: o.TaskManagers, SlotsTotal: o.SlotsTotal, SlotsAvailable: o.SlotsFree,
		JobsRunning: o.JobsRunning, JobsFinished: o.JobsFinished, JobsCancelled: o.JobsCancelled, JobsFailed: o.JobsFailed,
		Version: link.Version, Commit: revision()}, nil
}

func (s *Server) shutdown(c *call) (any, error) {
	s.log.Info("shutdown requested through the REST endpoint", "client", c.RemoteAddr)
	c.Cluster.RequestShutdown(resourcemanager.StatusSucceeded, "the cluster was shut down through its REST endpoint")
	return api.Empty{}, nil
}

func (s *Server) datasets(*call) (any, error) { return api.Datasets{DataSets: []api.Dataset{}}, nil }

func (s *Server) taskManagers(c *call) (any, error) {
	out := api.TaskManagers{TaskManagers: []api.TaskManager{}}
	for _, t := range c.Cluster.TaskManagers() {
		out.TaskManagers = append(out.TaskManagers, view.TaskManager(&t))
	}
	return out, nil
}

func (s *Server) taskManager(c *call) (any, error) {
	id := c.PathValue("taskmanagerid")
	t, ok := c.Cluster.TaskManager(id)
	if !ok {
		return nil, notFound("TaskManager %s not found", id)
	}
	return view.TaskManagerDetails(&t), nil
}

func (s *Server) jobManagerConfig(*call) (any, error) {
	masked := s.c.Conf.Masked()
	out := make([]api.ConfigEntry, 0, len(masked))
	for _, key := range slices.Sorted(maps.Keys(masked)) {
		out = append(out, api.ConfigEntry{Key: key, Value: masked[key]})
	}
	return out, nil
}

// runtimeVariables set up the Go runtime.
var runtimeVariables = []string{"GOMEMLIMIT", "GOGC", "GOMAXPROCS", "GODEBUG", "GOTRACEBACK"}

func (s *Server) environment(*call) (any, error) {
	out := api.Environment{JVM: api.Runtime{Version: runtime.Version(), Arch: runtime.GOOS + "/" + runtime.GOARCH,
		Options: []string{}}, Classpath: []string{}}
	for _, name := range runtimeVariables {
		if value, ok := os.LookupEnv(name); ok {
			out.JVM.Options = append(out.JVM.Options, name+"="+value)
		}
	}
	return out, nil
}
