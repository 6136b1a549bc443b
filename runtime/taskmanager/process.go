package taskmanager

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/weftstream/weft/link"
)

// Defaults of ProcessConfig.
const (
	DefaultAttachTimeout = time.Minute
	DefaultKillGrace     = 2 * time.Second
	DefaultLogMaxSize    = 10 << 20
	DefaultLogMaxFiles   = 5
	DefaultLogMaxHosts   = 64
)

// keptEnvironment is the variables that a task host gets from the TaskManager's environment.
// HADOOP_TOKEN_FILE_LOCATION is where the job's HDFS tokens are.
var keptEnvironment = []string{"PATH", "HOME", "TZ", "USER", "HADOOP_USER_NAME", "HADOOP_TOKEN_FILE_LOCATION"}

// envHostID marks a task host and what it starts, so that nothing of it is left when it has ended.
const envHostID = "WEFT_TASK_HOST"

// ProcessConfig says how task hosts are started as processes. What is zero has the default named.
type ProcessConfig struct {
	// TempDir is where each host gets a working directory, which is removed when it has ended. Required.
	TempDir string
	// LogDir is where the hosts' stdout and stderr go: taskhost-<job>-<n>.out and .err. Required.
	LogDir string
	// Environment is set for hosts, beside what they get from the TaskManager's (containerized.taskmanager.env.*).
	Environment map[string]string
	// MemoryMargin is added to a host's budget for the hard limit; nil = link.MemoryMargin.
	MemoryMargin func(budget int64) int64
	// AttachTimeout is how long a host may take until it has attached, default 1 min.
	AttachTimeout time.Duration
	// KillGrace is the time between SIGTERM and SIGKILL, default 2 s.
	KillGrace time.Duration
	// LogMaxSize, LogMaxFiles and LogMaxHosts bound the logs: bytes of a file, files of a stream, and ended hosts whose
	// logs are kept. Defaults 10 MiB, 5, 64.
	LogMaxSize  int64
	LogMaxFiles int
	LogMaxHosts int
	// Subreaper makes this process the parent of what task hosts leave behind, and reaps it. It is for processes that
	// are a TaskManager and nothing else.
	Subreaper bool
	// Log is where the starter logs; slog.Default when nil.
	Log *slog.Logger
}

func (c *ProcessConfig) check() error {
	setDefault(&c.AttachTimeout, DefaultAttachTimeout)
	setDefault(&c.KillGrace, DefaultKillGrace)
	if c.MemoryMargin == nil {
		c.MemoryMargin = link.MemoryMargin
	}
	if c.LogMaxSize == 0 {
		c.LogMaxSize = DefaultLogMaxSize
	}
	if c.LogMaxFiles == 0 {
		c.LogMaxFiles = DefaultLogMaxFiles
	}
	if c.LogMaxHosts == 0 {
		c.LogMaxHosts = DefaultLogMaxHosts
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.TempDir == "" || c.LogDir == "" {
		return errors.New("make a starter of task hosts: no directory for temporary files or for logs")
	}
	if c.LogMaxSize < 0 || c.LogMaxFiles < 0 || c.LogMaxHosts < 0 {
		return errors.New("make a starter of task hosts: negative bound of logs")
	}
	return nil
}

// environment is a task host's environment, without the variables of package link.
func (c *ProcessConfig) environment(more ...string) []string {
	var env []string
	for _, name := range keptEnvironment {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range c.Environment {
		if name != "" && !strings.ContainsAny(name, "=\x00") {
			env = append(env, name+"="+v)
		}
	}
	return append(env, more...) // of a name that is there twice the last one counts
}
