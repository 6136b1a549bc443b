package jobmaster

import (
	"maps"
	"testing"

	"github.com/weftstream/weft/link/linkpb"
)

func TestStateDurations(t *testing.T) {
	entered := func(pairs ...int64) (e [StateCount]int64) {
		for i := 0; i < len(pairs); i += 2 {
			e[pairs[i]] = pairs[i+1]
		}
		return e
	}
	type durations = map[linkpb.ExecutionState]int64
	for name, test := range map[string]struct {
		entered [StateCount]int64
		current linkpb.ExecutionState
		want    durations
	}{
		"running": {entered(int64(execCreated), 100, int64(execScheduled), 100, int64(execDeploying), 150, int64(execRunning), 200), execRunning,
			durations{execCreated: 0, execScheduled: 50, execDeploying: 50, execRunning: 800}},
		"finished": {entered(int64(execCreated), 100, int64(execRunning), 200, int64(execFinished), 500), execFinished,
			durations{execCreated: 100, execRunning: 300}},
		"finished while canceling": {entered(int64(execRunning), 200, int64(execCanceling), 400, int64(execFinished), 500), execFinished,
			durations{execRunning: 300, execCanceling: 100}},
	} {
		s := SubtaskDetails{Timestamps: test.entered, State: test.current}
		if got := s.StateDurations(1000); !maps.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, test := range []struct{ start, end, want int64 }{{-1, -1, -1}, {100, -1, 900}, {100, 300, 200}} {
		s := SubtaskDetails{Start: test.start, End: test.end}
		if got := s.Duration(1000); got != test.want {
			t.Errorf("from %d to %d: %d, want %d", test.start, test.end, got, test.want)
		}
	}
}
