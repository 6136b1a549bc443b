package host

import (
	"fmt"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/task"
)

// settingsOf takes from the configuration what tasks look at.
func settingsOf(pairs map[string]string, job graph.JobID) (task.Settings, error) {
	c, err := conf.FromMap(pairs)
	if err != nil {
		return task.Settings{}, fmt.Errorf("read the configuration of the job: %w", err)
	}
	s := task.Settings{BufferTimeout: conf.Get(c, conf.ExecutionBufferTimeoutInterval)}
	if !conf.Get(c, conf.ExecutionBufferTimeoutEnabled) {
		s.BufferTimeout = -1
	}
	s.AtLeastOnce = !checkpoint.ConfigOf(c).ExactlyOnce
	s.Checkpoints = conf.Get(c, conf.ExecutionCheckpointingInterval) > 0
	if dir := conf.Get(c, conf.ExecutionCheckpointingDir); dir != "" && conf.Get(c, conf.ExecutionCheckpointingStorage) != "jobmanager" {
		s.SharedDirectory = checkpoint.SharedDirectory(dir, job)
	}
	return s, nil
}
