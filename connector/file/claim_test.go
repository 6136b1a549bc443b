package file_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/stream"
)

// other is a job that has no place for counted's state.
var other = stream.Define("other", func(env *stream.Env, p countParams) error {
	numbers := stream.From(env, datagen.New(p.Events, func(*stream.Runtime) func(int64) string { return func(int64) string { return "x" } })).UID("others")
	numbers.To(file.Text(p.Output)).UID("output")
	return nil
})

// contents are the files below dir, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// cancelledWithCheckpoint runs a job until it has a checkpoint, cancels it, and returns the checkpoint's directory.
func cancelledWithCheckpoint(t *testing.T, p countParams, dir string) string {
	t.Helper()
	d := driver(t, map[string]string{"execution.checkpointing.dir": dir, "execution.checkpointing.data-inline-threshold": "0",
		"execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION"})
	c, err := counted.Start(t.Context(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	complete := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "*", "chk-*", "_metadata"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	testkit.Eventually(t, "a checkpoint is complete", func() bool { return len(complete()) > 0 })
	if err := c.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ended *stream.JobError
	if _, err := c.Await(t.Context()); !errors.As(err, &ended) || c.Status() != "CANCELED" {
		t.Fatalf("the job ended with %v", err)
	}
	found := complete()
	if len(found) != 1 {
		t.Fatalf("retained: %q, want one checkpoint", found)
	}
	if entries, err := os.ReadDir(filepath.Dir(filepath.Dir(found[0]))); err != nil || len(entries) != 1 {
		t.Errorf("beside the checkpoint that is retained there is %v, %v", entries, err)
	}
	return filepath.Dir(found[0])
}

// TestClaimModes: a job goes on from a checkpoint that was retained, which is its own with CLAIM and nobody's business
// otherwise. Every record is in the output once, and the job's own checkpoints go with it.
func TestClaimModes(t *testing.T) {
	trouble.Set(-1)
	for mode, claimed := range map[string]bool{"": false, "NO_CLAIM": false, "LEGACY": false, "CLAIM": true} {
		t.Run("mode "+mode, func(t *testing.T) {
			t.Parallel()
			p := countParams{Events: 4000, Keys: 37, Rate: 2000, Output: filepath.Join(t.TempDir(), "out")}
			from := cancelledWithCheckpoint(t, p, t.TempDir())
			before, own := contents(t, from), t.TempDir()
			more := map[string]string{"execution.checkpointing.dir": own, "execution.state-recovery.path": from}
			if mode != "" {
				more["execution.state-recovery.claim-mode"] = mode
			}
			if _, err := counted.Run(t.Context(), driver(t, more), p); err != nil {
				t.Fatal(err)
			}
			everyCountOnce(t, p.Output, p.Events, p.Keys)
			if _, err := os.Stat(from); claimed && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the checkpoint is claimed and still there: %v", err)
			}
			if !claimed && !maps.Equal(contents(t, from), before) {
				t.Error("the checkpoint isn't claimed and was touched")
			}
			if entries, err := os.ReadDir(own); err != nil || len(entries) != 0 {
				t.Errorf("the job left %v, %v", entries, err)
			}
		})
	}
}

// TestClaimedOnlyByOneThatStarts: a job that can't start from what it is to claim leaves it alone.
func TestClaimedOnlyByOneThatStarts(t *testing.T) {
	trouble.Set(-1)
	p := countParams{Events: 4000, Keys: 37, Rate: 2000, Output: filepath.Join(t.TempDir(), "out")}
	from := cancelledWithCheckpoint(t, p, t.TempDir())
	before := contents(t, from)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := other.Run(ctx, driver(t, map[string]string{"execution.state-recovery.path": from, "execution.state-recovery.claim-mode": "CLAIM"}), p)
	if err == nil || !maps.Equal(contents(t, from), before) {
		t.Errorf("a job that can't read the checkpoint: %v; it is as it was: %v", err, maps.Equal(contents(t, from), before))
	}
}
