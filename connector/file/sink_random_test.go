package file

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/fstest"
	"github.com/weftstream/weft/stream"
)

// checkpoint is what a job starts again from.
type checkpoint struct {
	next    []int // of each subtask
	pending [][]byte
	ended   bool // it has all records, and nothing runs again
}

// TestExactlyOnceThroughCrashes runs a job by hand whose processes die at random calls of the file system, at all places
// of writing, flushing and committing, and looks at the directory whenever it comes to rest.
func TestExactlyOnceThroughCrashes(t *testing.T) {
	const subtasks, records = 3, 40
	for range 25 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			ff, faults := fstest.NewFaulty(filesystem.Local{})
			make := func() *FileSink[string] {
				s := Text("faulty://" + dir).Bucket(func(v string) string { return v[len(v)-1:] })
				if r.IntN(2) == 0 {
					s.RollSize(9)
				}
				return s
			}
			last := checkpoint{next: []int{0, 0, 0}}
			for attempt := 0; ; attempt++ {
				faults.SetHook(nil)
				if attempt < 20 {
					faults.SetHook(fstest.CrashAt(5+r.IntN(150), r.IntN(2) == 0))
				}
				if err := oneAttempt(t, r, make(), ff, attempt, subtasks, records, &last); err == nil {
					break
				} else if !errors.Is(err, fstest.ErrInjected) {
					t.Fatalf("attempt %d: %v", attempt, err)
				}
			}
			var want []string
			for i := range subtasks {
				for n := range records {
					want = append(want, fmt.Sprintf("%d-%d", i, n))
				}
			}
			slices.Sort(want)
			if got := readDir(t, dir); !slices.Equal(got, want) {
				t.Fatalf("%d records, want %d:\n%v", len(got), len(want), got)
			}
			if err := walk(t.Context(), filesystem.Local{}, dir, func(e filesystem.Info) error {
				if hidden(e.Name()) {
					return fmt.Errorf("%s is left", e.Path)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func oneAttempt(t *testing.T, r *rand.Rand, s *FileSink[string], ff filesystem.FileSystem, attempt, subtasks, records int, last *checkpoint) error {
	co := runtimeOf(t, jobA, -1, attempt, ff)
	if !last.ended {
		if err := s.Prepare(co); err != nil {
			return err
		}
	}
	if err := s.Commit(co, last.pending); err != nil {
		return err
	}
	if last.ended {
		return s.Release(co)
	}
	next := slices.Clone(last.next)
	var writers []stream.SinkWriter[string]
	for i := range subtasks {
		w, err := s.Open(runtimeOf(t, jobA, i, attempt, ff))
		if err != nil {
			return err
		}
		writers = append(writers, w)
	}
	for {
		var flushed [][]byte
		ended := true
		for i, w := range writers {
			for range r.IntN(8) {
				if next[i] == records {
					break
				}
				v := fmt.Sprintf("%d-%d", i, next[i])
				if err := w.Write(&v, stream.NoTime); err != nil {
					return err
				}
				next[i]++
			}
			ended = ended && next[i] == records
			c, err := w.Flush()
			if err != nil {
				return err
			}
			flushed = append(flushed, c...)
		}
		if r.IntN(4) == 0 {
			continue // the checkpoint is aborted, and the job goes on
		}
		*last = checkpoint{slices.Clone(next), flushed, ended} // complete
		if err := s.Commit(co, flushed); err != nil {
			return err
		}
		if ended {
			return s.Release(co)
		}
	}
}
