package host

import (
	"fmt"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/task"
)

// settings are what the configuration says to a host.
type settings struct {
	task.Settings
	encrypt, compress bool // what goes to other hosts
	// cancelInterval is how often it is said where a subtask is that ignores its cancellation; 0: never.
	cancelInterval time.Duration
	backend        stateBackend
}

// settingsOf takes from the configuration what hosts and tasks look at. bounded says that all sources of the job end.
func settingsOf(pairs map[string]string, job graph.JobID, bounded bool) (settings, error) {
	c, err := conf.FromMap(pairs)
	if err != nil {
		return settings{}, fmt.Errorf("read the configuration of the job: %w", err)
	}
	s := settings{Settings: task.Settings{BufferTimeout: conf.Get(c, conf.ExecutionBufferTimeoutInterval),
		WatermarkInterval: conf.Get(c, conf.PipelineAutoWatermarkInterval)},
		encrypt: conf.Get(c, conf.TaskManagerDataSslEnabled), compress: conf.Get(c, conf.WeftNetworkCompression) == "S2"}
	s.cancelInterval = conf.Get(c, conf.TaskCancellationInterval)
	if most := conf.Get(c, conf.TaskCancellationTimeout); most > 0 {
		s.cancelInterval = min(s.cancelInterval, most/2) // the host is killed after most, and then nobody can tell
	}
	s.backend = stateBackendOf(c)
	if !conf.Get(c, conf.ExecutionBufferTimeoutEnabled) {
		s.BufferTimeout = -1
	}
	checkpoints := checkpoint.ConfigOf(c)
	s.AtLeastOnce, s.Unaligned = !checkpoints.ExactlyOnce, checkpoints.Unaligned
	s.LocalBackup = conf.Get(c, conf.ExecutionCheckpointingLocalBackupEnabled)
	s.LocalRecovery = conf.Get(c, conf.ExecutionStateRecoveryFromLocal)
	s.Batch = conf.Batch(c, bounded)
	s.Checkpoints = conf.Get(c, conf.ExecutionCheckpointingInterval) > 0 && !s.Batch
	if dir := conf.Get(c, conf.ExecutionCheckpointingDir); dir != "" && conf.Get(c, conf.ExecutionCheckpointingStorage) != "jobmanager" {
		s.SharedDirectory = checkpoint.SharedDirectory(dir, job)
	}
	return s, nil
}
