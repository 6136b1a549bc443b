package stream_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/tally"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/minicluster"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/jobmaster"
	"github.com/weftstream/weft/stream"
)

type tallyParams struct {
	// Events counts up the keys 0 to Keys-1 once, and from then on the first Hot of them; Keys is a multiple of Hot.
	Events, Keys, Hot int64
	Rate              float64
	Output            string
}

// key and count are what event n counts up, and to what.
func (p tallyParams) key(n int64) int64 {
	if n < p.Keys {
		return n
	}
	return n % p.Hot
}

func (p tallyParams) count(n int64) int64 {
	if n < p.Keys {
		return 1
	}
	return (n-p.Keys)/p.Hot + 2
}

var fuse tally.Fuse

// made counts the records that sources have made, and those that they have made again; from enough on they make none until released,
// so that the job is there as long as a test needs it.
var (
	made, enough atomic.Int64
	released     atomic.Bool
)

// heldSource is a source whose readers stop and wait while the test isn't over.
type heldSource struct{ stream.Source[int64] }

func (s heldSource) Bounded() bool { return true }

func (s heldSource) Open(rt *stream.Runtime) (stream.SourceReader[int64], error) {
	r, err := s.Source.Open(rt)
	return heldReader{r}, err
}

type heldReader struct{ stream.SourceReader[int64] }

func (r heldReader) Poll(most int, emit func(*int64, stream.Time)) (bool, error) {
	if made.Load() >= enough.Load() && !released.Load() {
		return true, nil
	}
	return r.SourceReader.Poll(min(most, 50), func(v *int64, t stream.Time) { made.Add(1); emit(v, t) })
}

func (r heldReader) Wait() time.Duration {
	if made.Load() >= enough.Load() && !released.Load() {
		return time.Millisecond
	}
	return r.SourceReader.(interface{ Wait() time.Duration }).Wait()
}

var tallied = stream.Define("tallied", func(env *stream.Env, p tallyParams) error {
	numbers := stream.From(env, heldSource{tally.Numbers(p.Events, p.Rate)}).UID("numbers")
	same := stream.Map(numbers, func(n int64) int64 { return n }).UID("same").DisableChaining() // a forward exchange
	stream.Process(stream.KeyBy(same, p.key), func(rt *stream.Runtime) *tally.Counter {
		return tally.NewCounter(rt, fuse.Burn)
	}).UID("tally").To(file.Text(p.Output)).UID("output")
	return nil
})

// tallyRun is a tallied job on a MiniCluster.
type tallyRun struct {
	t       *testing.T
	p       tallyParams
	cluster *minicluster.MiniCluster
	id      graph.JobID
	ended   chan error
}

// startTally starts the job on a static cluster, or one that makes TaskManagers as needed, and waits until it runs.
func startTally(t *testing.T, more map[string]string, taskManagers, slots int) *tallyRun {
	t.Helper()
	return startTallyOf(t, tallyParams{Events: 12000, Keys: 37, Hot: 37, Rate: 6000}, more, taskManagers, slots)
}

func startTallyOf(t *testing.T, p tallyParams, more map[string]string, taskManagers, slots int) *tallyRun {
	t.Helper()
	fuse.Set(-1)
	made.Store(0)
	released.Store(false)
	c := map[string]string{"execution.checkpointing.interval": "20ms", "execution.checkpointing.dir": t.TempDir(),
		"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000", "restart-strategy.fixed-delay.delay": "1ms",
		"parallelism.default": "2", "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout": "50 ms",
		"jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling": "50 ms"}
	maps.Copy(c, more)
	made := make(chan *minicluster.MiniCluster, 1)
	d := stream.NewClusterDriver(c, taskManagers, slots, slog.New(slog.NewTextHandler(t.Output(), nil)), func(m *minicluster.MiniCluster) { made <- m })
	p.Output = filepath.Join(t.TempDir(), "out")
	r := &tallyRun{t: t, ended: make(chan error, 1), p: p}
	enough.Store(r.p.Events * 3 / 4)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, err := tallied.Run(ctx, d, r.p)
		r.ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	r.cluster = <-made
	r.until("the job is there", func() bool {
		jobs := r.cluster.Dispatcher().Jobs()
		if len(jobs) > 0 {
			r.id = jobs[0].ID
		}
		return len(jobs) > 0
	})
	return r
}

// until waits for a condition.
func (r *tallyRun) until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("it didn't come that %s; the job: %s", what, r)
		}
		select {
		case err := <-r.ended:
			r.ended <- err
			if !ok() {
				r.t.Fatalf("the job ended (%v) before %s", err, what)
			}
		case <-time.After(time.Millisecond):
		}
	}
}

func (r *tallyRun) String() string {
	d, _ := r.cluster.Dispatcher().Job(r.id)
	s := d.Status.String()
	for _, v := range d.Vertices {
		s += fmt.Sprintf(" %s:%d", v.Name, v.Parallelism)
	}
	if c, _ := r.cluster.Dispatcher().Checkpoints(r.id); len(c.History) > 0 {
		k := c.History[0]
		s += fmt.Sprintf("; checkpoint %d %s, %d of %d subtasks have acknowledged it", k.ID, k.Status, k.Acknowledged, k.Tasks)
		for _, v := range k.Vertices {
			s += fmt.Sprintf("; %s %+v", v.ID[:4], v.Subtasks)
		}
	}
	return s
}

// runsWith waits until every vertex has the parallelism and all subtasks run, or have ended: those of a source may have no
// records left to make.
func (r *tallyRun) runsWith(parallelism int) {
	r.t.Helper()
	r.until(fmt.Sprintf("it runs with parallelism %d", parallelism), func() bool {
		d, ok := r.cluster.Dispatcher().Job(r.id)
		for _, v := range d.Vertices {
			ok = ok && v.Parallelism == parallelism && v.Tasks[linkpb.ExecutionState_EXECUTION_RUNNING]+v.Tasks[linkpb.ExecutionState_EXECUTION_FINISHED] == parallelism
		}
		return ok && d.Status == linkpb.JobStatus_RUNNING
	})
}

// require bounds all vertices.
func (r *tallyRun) require(lower, upper int) {
	r.t.Helper()
	d, _ := r.cluster.Dispatcher().Job(r.id)
	q := jobmaster.Requirements{}
	for _, v := range d.Vertices {
		q[v.ID] = jobmaster.Bounds{Lower: lower, Upper: upper}
	}
	if err := r.cluster.Dispatcher().Require(r.t.Context(), r.id, q); err != nil {
		r.t.Fatal(err)
	}
}

// finishes waits for the end and checks that each pair of a key and a count was written once.
func (r *tallyRun) finishes() {
	r.t.Helper()
	fuse.Set(-1)
	released.Store(true)
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatalf("the job doesn't end: %s", r)
	}
	if err := tally.Once(r.p.Output, r.p.Events, func(i int64) string { return tally.Line(r.p.key(i), r.p.count(i)) }); err != nil {
		r.t.Error(err)
	}
}

// TestRescale: a job that writes exactly once is rescaled while it runs; it panics and its TaskManagers are killed at random in
// between; every record is in its output once.
func TestRescale(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for name, more := range map[string]map[string]string{
		"files":          {},
		"inline":         {"execution.checkpointing.storage": "jobmanager"},
		"unaligned":      {"execution.checkpointing.unaligned.enabled": "true"},
		"incremental":    {"execution.checkpointing.incremental": "true"},
		"no checkpoints": {"execution.checkpointing.interval": "1 h"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startTally(t, more, 0, 0)
			r.runsWith(2)
			for _, p := range []int{4, 1, 3} {
				fuse.Set(random.Int64N(1000) + 1)
				r.require(p, p)
				if all := r.cluster.JobManager().TaskManagers(); random.IntN(2) == 0 && len(all) > 0 {
					r.cluster.StopTaskManager(all[random.IntN(len(all))].ResourceID)
				}
				r.runsWith(p)
			}
			r.finishes()
		})
	}
}

// TestIncrementalCheckpoints: a job with many keys of which few change writes little in most checkpoints, whichever its state
// backend. It panics, its TaskManagers are killed and it is rescaled, and every record is in its output once.
func TestIncrementalCheckpoints(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for name, more := range map[string]map[string]string{
		"hashmap": {},
		"pebble": {"state.backend.type": "pebble", "state.backend.pebble.memory.fixed-per-host": "8 mb",
			"state.backend.pebble.memory.cache-ratio": "0.01"},
	} {
		t.Run(name, func(t *testing.T) {
			more["execution.checkpointing.incremental"] = "true"
			const keys, hot = 20000, 50
			r := startTallyOf(t, tallyParams{Events: 50000, Keys: keys, Hot: hot, Rate: 16000}, more, 0, 0)
			enough.Store(keys)
			little := func() bool {
				if made.Load() < enough.Load() {
					return false
				}
				enough.Store(min(enough.Load()+2, 40000)) // some keys change
				c, _ := r.cluster.Dispatcher().Checkpoints(r.id)
				for _, k := range c.History { // a key's pair has at least a byte for the key and the eight of its count
					if k.Status == checkpoint.Completed && k.StateSize > 9*keys && k.Written > hot && k.Written*10 < k.StateSize {
						return true
					}
				}
				return false
			}
			r.until("a checkpoint writes little", little)
			enough.Store(40000)
			for _, p := range []int{3, 1, 2} {
				fuse.Set(random.Int64N(1000) + 1)
				r.require(p, p)
				if all := r.cluster.JobManager().TaskManagers(); random.IntN(2) == 0 && len(all) > 0 {
					r.cluster.StopTaskManager(all[random.IntN(len(all))].ResourceID)
				}
				r.runsWith(p)
			}
			r.finishes()
		})
	}
}

// TestSlotsComeAndGo: with the adaptive scheduler a job begins with the slots there are, takes those that come, goes on with those
// that are left when a TaskManager is lost, and takes its successor's.
func TestSlotsComeAndGo(t *testing.T) {
	r := startTally(t, map[string]string{"jobmanager.scheduler": "adaptive", "parallelism.default": "4"}, 1, 1)
	start := func() string {
		id, err := r.cluster.StartTaskManager()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	r.runsWith(1)
	second := start()
	r.runsWith(2)
	third := start()
	r.runsWith(3)
	r.cluster.StopTaskManager(second)
	r.runsWith(2)
	start()
	start()
	r.runsWith(4)
	r.cluster.StopTaskManager(third)
	r.runsWith(3)
	r.finishes()
}

// TestRestartStrategyCountsNoRescales: a job that may not restart at all is rescaled all the same.
func TestRestartStrategyCountsNoRescales(t *testing.T) {
	r := startTally(t, map[string]string{"restart-strategy.type": "none"}, 0, 0)
	r.runsWith(2)
	for _, p := range []int{3, 1, 2} {
		r.require(p, p)
		r.runsWith(p)
	}
	r.finishes()
}

// TestReactive: a job takes what slots there are, up to its max parallelism, whatever its parallelism.
func TestReactive(t *testing.T) {
	r := startTally(t, map[string]string{"scheduler-mode": "reactive", "parallelism.default": "1", "pipeline.max-parallelism": "3"}, 1, 2)
	r.runsWith(2)
	if _, err := r.cluster.StartTaskManager(); err != nil {
		t.Fatal(err)
	}
	r.runsWith(3)
	if o := r.cluster.JobManager().Overview(); o.SlotsTotal != 4 || o.SlotsFree != 1 {
		t.Errorf("%d of %d slots are free, want 1 of 4", o.SlotsFree, o.SlotsTotal)
	}
	r.finishes()
}

// TestReactiveNeedsAStandaloneCluster: nobody may be asked for all the slots there could be.
func TestReactiveNeedsAStandaloneCluster(t *testing.T) {
	d := stream.NewLocalDriver(stream.LocalOptions{Configuration: map[string]string{"scheduler-mode": "reactive"}})
	defer d.Close()
	_, err := tallied.Run(t.Context(), d, tallyParams{Events: 1, Keys: 1, Output: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "jobmanager.scheduler") {
		t.Errorf("error %v, want one that names jobmanager.scheduler", err)
	}
}
