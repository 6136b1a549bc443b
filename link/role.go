package link

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Role is what an application's process is for.
type Role int

const (
	// Local is a process that no Weft process started: the driver function runs here, and jobs run on a MiniCluster.
	Local Role = iota
	// Driver is a process that `weft run` or a JobManager started: the driver function runs, and jobs go over the link.
	Driver
	// TaskHost is a process that a TaskManager started to run the subtasks of one job.
	TaskHost
)

// The variables that a parent sets. They are no interface for users.
const (
	envRole   = "WEFT_ROLE"
	envLinkFD = "WEFT_LINK_FD"
	envDataFD = "WEFT_DATA_FD"
	envConfig = "WEFT_CONFIG" // of a process in the Local role; the others get theirs over the link
)

// variables are all of them.
var variables = []string{envRole, envLinkFD, envDataFD, envConfig}

// maxConfig bounds the configuration of a process in the Local role, in bytes: a system limits a variable to 128 KiB.
const maxConfig = 120 << 10

// ExitLinkEnded is the exit status of an application that ends because its link did.
const ExitLinkEnded = 70

// String returns the name that the parent puts into the environment.
func (r Role) String() string {
	switch r {
	case Driver:
		return "driver"
	case TaskHost:
		return "taskhost"
	}
	return "local"
}

// inheritance is what the parent left in the environment.
type inheritance struct {
	role   Role
	linkFD int
	dataFD int
	config map[string]string
	err    error
}

var (
	inherited = inherit(os.Getenv, os.Unsetenv)

	// Each descriptor is used once.
	linkTaken, dataTaken atomic.Bool
)

// inherit reads and removes the variables, and keeps the descriptors from what this process may start.
func inherit(get func(string) string, unset func(string) error) inheritance {
	role, linkFD, dataFD, config := get(envRole), get(envLinkFD), get(envDataFD), get(envConfig)
	for _, name := range variables {
		if err := unset(name); err != nil {
			return inheritance{err: fmt.Errorf("clean the environment of %s: %w", name, err)}
		}
	}
	in := inheritance{linkFD: -1, dataFD: -1}
	switch role {
	case "":
		if config == "" {
			return in
		}
		if err := json.Unmarshal([]byte(config), &in.config); err != nil {
			in.err = fmt.Errorf("read the configuration from %s: %w; only Weft sets this variable", envConfig, err)
		}
		return in
	case Driver.String():
		in.role = Driver
	case TaskHost.String():
		in.role = TaskHost
	default:
		in.err = fmt.Errorf("read the role from %s=%q: unknown; only Weft sets this variable", envRole, role)
		return in
	}
	if in.linkFD, in.err = descriptor(envLinkFD, linkFD); in.err == nil && in.role == TaskHost {
		in.dataFD, in.err = descriptor(envDataFD, dataFD)
	}
	return in
}

func descriptor(name, value string) (int, error) {
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return -1, fmt.Errorf("read %s=%q: not the number of an inherited descriptor; only Weft sets this variable", name, value)
	}
	if err := closeOnExec(fd); err != nil {
		return -1, fmt.Errorf("read %s=%q: %w; only Weft sets this variable", name, value, err)
	}
	return fd, nil
}

// Detect says in which role this process runs. The environment was read, and cleaned, at initialisation. The error says
// that the variables, which only a Weft process sets, make no sense.
func Detect() (Role, error) { return inherited.role, inherited.err }

// LocalConfiguration is what `weft run -t local` gave this process, in the Local role, of the command line and the
// configuration file; nil for a process that was started without it, and in the other roles.
func LocalConfiguration() map[string]string { return maps.Clone(inherited.config) }

// LocalEnvironment is env for an application that is to be started in the Local role, with config as its
// LocalConfiguration.
func LocalEnvironment(env []string, config map[string]string) ([]string, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write the configuration for the application: %w", err)
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("write the configuration for the application: it has %d bytes, at most %d can be handed over: "+
			"remove what the job doesn't need from the configuration file", len(text), maxConfig)
	}
	return append(withoutVariables(env), envConfig+"="+string(text)), nil
}

// withoutVariables is a copy of env without Weft's own.
func withoutVariables(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(variables, name)
	})
}

// linkEnded is what happens to an application whose link ended.
func linkEnded(parent string) func(error) {
	return func(err error) {
		fmt.Fprintf(os.Stderr, "weft: the link to the %s that started this process ended (%v): exiting\n", parent, err)
		os.Exit(ExitLinkEnded)
	}
}
