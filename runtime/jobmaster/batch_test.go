package jobmaster

import (
	"testing"

	"github.com/weftstream/weft/conf"
)

func TestBatchesTakeNoCheckpoints(t *testing.T) {
	for _, c := range []struct {
		mode    string
		bounded bool
		want    int64
	}{
		{"STREAMING", true, 5000}, {"BATCH", true, 0}, {"AUTOMATIC", true, 0}, {"AUTOMATIC", false, 5000},
	} {
		parsed, err := conf.FromMap(map[string]string{"execution.runtime-mode": c.mode, "execution.checkpointing.interval": "5s"})
		if err != nil {
			t.Fatal(err)
		}
		s := settingsOf(parsed, c.bounded)
		if s.checkpoints.Interval != c.want || s.uncheckpointed != (c.want == 0) {
			t.Errorf("%s, bounded %v: interval %d, uncheckpointed %v", c.mode, c.bounded, s.checkpoints.Interval, s.uncheckpointed)
		}
	}
}

// TestIncrementalNeedsADirectory: whoever asks for incremental checkpoints and has no directory for them is told.
func TestIncrementalNeedsADirectory(t *testing.T) {
	for dir, whole := range map[string]bool{"": true, "/c": false} {
		pairs := map[string]string{"execution.checkpointing.incremental": "true", "execution.checkpointing.interval": "5s"}
		if dir != "" {
			pairs["execution.checkpointing.dir"] = dir
		}
		parsed, err := conf.FromMap(pairs)
		if err != nil {
			t.Fatal(err)
		}
		if s := settingsOf(parsed, false); s.whole != whole || s.checkpoints.Incremental == whole {
			t.Errorf("directory %q: whole %v, incremental %v", dir, s.whole, s.checkpoints.Incremental)
		}
	}
}
