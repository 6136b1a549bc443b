package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

const (
	finished = linkpb.JobStatus_FINISHED
	failed   = linkpb.JobStatus_FAILED
	canceled = linkpb.JobStatus_CANCELED
)

// TestConfigurationReachesTaskHosts: a job's own configuration is above the cluster's, which in application mode is where
// the command line's is.
func TestConfigurationReachesTaskHosts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, map[string]string{"execution.buffer-timeout.interval": "7 ms", "pipeline.object-reuse": "true"}, nil)
		config := func(g *graph.JobGraph) map[string]string {
			c.await(c.submit(g), finished)
			tm := c.tm("worker-1")
			tm.mu.Lock()
			defer tm.mu.Unlock()
			return tm.config
		}
		if got := config(words(1)); got["execution.buffer-timeout.interval"] != "7 ms" {
			t.Errorf("the cluster's: %v", got)
		}
		g := words(1)
		g.Config = map[string]string{"execution.buffer-timeout.interval": "9 ms"}
		if got := config(g); got["execution.buffer-timeout.interval"] != "9 ms" || got["pipeline.object-reuse"] != "true" {
			t.Errorf("the job's above the cluster's: %v", got)
		}
		c.end(resourcemanager.StatusSucceeded)
	})
}

func TestLife(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		id := c.submit(words(4))
		r := c.await(id, finished)
		if r.GetCounters()["records"] != 40 || r.GetName() != "words" {
			t.Errorf("counters %v of %q, want 40 records of words", r.GetCounters(), r.GetName())
		}
		synctest.Wait()
		if got := c.tm("worker-1").committed(); len(got)+len(c.tm("worker-2").committed()) != 1 || !slices.Contains(append(got, c.tm("worker-2").committed()...), "[part-0 part-1 part-2 part-3]") {
			t.Errorf("committed %v, want all four parts in one commit", got)
		}
		if o := c.jm.Overview(); o.TaskManagers != 2 || o.SlotsTotal != 4 || o.SlotsFree != 4 || o.JobsFinished != 1 || o.JobsRunning != 0 {
			t.Errorf("overview %+v, want 2 TaskManagers, 4 slots, all free, 1 finished job", o)
		}
		for _, k := range []ha.Kind{ha.KindJobRegistry, ha.KindCommittedOutput, ha.KindJobResult} {
			if n := c.log.count(k); n != 1 {
				t.Errorf("%d records %s, want 1", n, k)
			}
		}
		d, ok := c.jm.Dispatcher().Job(id)
		if !ok || d.Status != finished || len(d.Vertices) != 2 || d.Vertices[0].State != linkpb.ExecutionState_EXECUTION_FINISHED ||
			d.Tasks[linkpb.ExecutionState_EXECUTION_FINISHED] != 8 || d.Vertices[1].Subtasks[3].Host == "" || d.Edges[0].ShipStrategy() != "HASH" {
			t.Errorf("details %+v", d)
		}
		// Idle TaskManagers go after half a minute.
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if o := c.jm.Overview(); o.TaskManagers != 0 {
			t.Errorf("%d TaskManagers are left after the idle timeout", o.TaskManagers)
		}
		if c.driver.stopped["worker-1"] == "" || c.driver.stopped["worker-2"] == "" {
			t.Errorf("workers stopped: %v", c.driver.stopped)
		}
		if err := c.end(resourcemanager.StatusSucceeded); err != nil {
			t.Error(err)
		}
		if !slices.Equal(c.driver.final, []resourcemanager.FinalStatus{resourcemanager.StatusSucceeded}) {
			t.Errorf("deregistered with %v", c.driver.final)
		}
	})
}

func TestTaskPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusFailed)
		c.behave.fail = &linkpb.Failure{Message: "panic: index out of range", Stack: "goroutine 7 [running]", Operator: "sink"}
		id := c.submit(words(2))
		r := c.await(id, failed)
		f := r.GetFailure()
		if f.GetMessage() != "panic: index out of range" || f.GetStack() == "" || f.GetOperator() != "sink" || f.GetVertex() == "" || f.GetHost() != "worker-1" {
			t.Errorf("failure %v", f)
		}
		d, _ := c.jm.Dispatcher().Job(id)
		if len(d.Failures) != 1 || !strings.HasSuffix(d.Failures[0].Task, "/2)") {
			t.Errorf("history %+v", d.Failures)
		}
		if c.log.count(ha.KindCommittedOutput) != 0 {
			t.Error("a failed job's output was recorded")
		}
	})
}

func TestHostExit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusFailed)
		c.behave.hold = true
		id := c.submit(words(4))
		synctest.Wait()
		// The peer's lost connection arrives first; the exit is the cause.
		c.tm("worker-2").event(id[:], &linkpb.FromHost{Message: &linkpb.FromHost_Failed{Failed: &linkpb.Failure{Message: "connection lost", Secondary: true}}})
		synctest.Wait()
		c.tm("worker-1").event(id[:], &linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: &linkpb.HostExit{ExitCode: 2,
			Reason: "exit status 2", StderrTail: "fatal error: concurrent map writes"}}})
		f := c.await(id, failed).GetFailure()
		if !strings.Contains(f.GetMessage(), "exit status 2") || f.GetStack() != "fatal error: concurrent map writes" || f.GetHost() != "worker-1" {
			t.Errorf("failure %v", f)
		}
		synctest.Wait()
		if n := c.tm("worker-2").cancelled; n != 4 {
			t.Errorf("%d tasks of the other host were cancelled, want 4", n)
		}
		if o := c.jm.Overview(); o.SlotsFree != o.SlotsTotal {
			t.Errorf("overview %+v: slots weren't freed", o)
		}
	})
}

func TestTaskManagerLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusFailed)
		c.behave.hold = true
		lost := c.submit(words(4))
		synctest.Wait() // it has the first two TaskManagers, so that the other job gets one of its own
		broken := c.submit(words(1))
		synctest.Wait()
		worker := func(id graph.JobID) string {
			d, _ := c.jm.Dispatcher().Job(id)
			return d.Vertices[0].Subtasks[0].ResourceID
		}
		first := worker(lost)
		c.tm(first).conn.Close()
		f := c.await(lost, failed).GetFailure()
		if want := fmt.Sprintf("TaskManager %s (node-%s) was lost", first, first); !strings.Contains(f.GetMessage(), want) {
			t.Errorf("failure %v, want %s", f, want)
		}
		// What the provider says about a worker is in the message; jobs elsewhere have gone on meanwhile.
		c.driver.events.Ended(worker(broken), resourcemanager.WorkerEnd{Kind: resourcemanager.EndPreempted, ExitCode: -102, Diagnostics: "Container preempted by scheduler"})
		f = c.await(broken, failed).GetFailure()
		if !strings.Contains(f.GetMessage(), "preempted") {
			t.Errorf("failure %v", f)
		}
	})
}

func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusKilled)
		c.behave.hold = true
		id := c.submit(words(2))
		synctest.Wait()
		if err := c.jm.Dispatcher().Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		c.await(id, canceled)
		if err := c.jm.Dispatcher().Cancel(t.Context(), id); !errors.Is(err, dispatcher.ErrEnded) {
			t.Errorf("cancel of a cancelled job: %v, want ErrEnded", err)
		}
		if err := c.jm.Dispatcher().Cancel(t.Context(), graph.NewJobID()); !errors.Is(err, dispatcher.ErrUnknownJob) {
			t.Errorf("cancel of nothing: %v, want ErrUnknownJob", err)
		}
	})
}

func TestCancelTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, map[string]string{"task.cancellation.timeout": "20 s"}, nil)
		defer c.end(resourcemanager.StatusKilled)
		c.behave.hold, c.behave.stubborn = true, true
		id := c.submit(words(2))
		synctest.Wait()
		began := time.Now()
		if err := c.jm.Dispatcher().Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		c.await(id, canceled)
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("the task host was killed after %s, want 20 s", took)
		}
		tm := c.tm("worker-1")
		tm.mu.Lock()
		defer tm.mu.Unlock()
		if len(tm.released) == 0 || !strings.Contains(tm.released[0], "task.cancellation.timeout") {
			t.Errorf("released for %q", tm.released)
		}
	})
}

func TestSlotTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusFailed)
		c.driver.refuse = true
		c.connect("left-over", 1)
		began := time.Now()
		id := c.submit(words(3))
		synctest.Wait()
		if d, _ := c.jm.Dispatcher().Job(id); d.Status != linkpb.JobStatus_RUNNING || d.SlotsAssigned != 1 || !strings.Contains(d.Waiting, "queue etl is full") {
			t.Errorf("a job that waits: %s, %d slots, waiting %q", d.Status, d.SlotsAssigned, d.Waiting)
		}
		f := c.await(id, failed).GetFailure()
		if took := time.Since(began); took != 5*time.Minute {
			t.Errorf("failed after %s, want slot.request.timeout", took)
		}
		for _, want := range []string{"needs 3 slots", "has 1", "misses 2", "queue etl is full", "slot.request.timeout"} {
			if !strings.Contains(f.GetMessage(), want) {
				t.Errorf("message %q lacks %q", f.GetMessage(), want)
			}
		}
	})
}

func TestTooManySlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, map[string]string{"slotmanager.number-of-slots.max": "2"}, nil)
		defer c.end(resourcemanager.StatusFailed)
		began := time.Now()
		f := c.await(c.submit(words(3)), failed).GetFailure()
		if time.Since(began) != 0 || !strings.Contains(f.GetMessage(), "slotmanager.number-of-slots.max") {
			t.Errorf("after %s: %v", time.Since(began), f)
		}
		c.await(c.submit(words(2)), finished)
	})
}

func TestFencedBeforeCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		c.log.fail = func(r ha.Record) error {
			if r.Kind == ha.KindCommittedOutput {
				return fmt.Errorf("append: %w", ha.ErrFenced)
			}
			return nil
		}
		id := c.submit(words(2))
		if _, err := c.jm.Dispatcher().Await(t.Context(), id); !errors.Is(err, ha.ErrFenced) {
			t.Errorf("Await: %v, want ErrFenced", err)
		}
		synctest.Wait()
		if got := c.tm("worker-1").committed(); len(got) != 0 {
			t.Errorf("committed %v although the log is fenced", got)
		}
		if err := c.end(resourcemanager.StatusSucceeded); !errors.Is(err, ha.ErrFenced) {
			t.Errorf("Run: %v, want ErrFenced", err)
		}
		if !slices.Equal(c.driver.final, []resourcemanager.FinalStatus{resourcemanager.StatusUndefined}) {
			t.Errorf("deregistered with %v, want UNDEFINED: another JobManager leads", c.driver.final)
		}
	})
}

func TestCommitRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusSucceeded)
		c.behave.commitErrors = 2
		appends := 0
		c.log.fail = func(r ha.Record) error {
			if r.Kind == ha.KindCommittedOutput {
				if appends++; appends < 3 {
					return errors.New("connection reset")
				}
			}
			return nil
		}
		c.await(c.submit(words(2)), finished)
		if appends != 3 {
			t.Errorf("%d appends, want 3", appends)
		}
		if got := c.tm("worker-1").committed(); len(got) != 3 || got[0] != got[2] {
			t.Errorf("commits %v, want the same one three times", got)
		}
	})
}

func TestManyJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusSucceeded)
		// A job that says nothing and one that floods its JobMaster are in nobody's way.
		c.behave.hold, c.behave.stubborn = true, true
		stuck := c.submit(words(2)) // fills its TaskManager
		synctest.Wait()
		c.mu.Lock()
		c.behave = behaviour{} // of further TaskManagers
		c.mu.Unlock()
		flood := make(chan struct{})
		go func() {
			defer close(flood)
			tm := c.tm("worker-1")
			for range 20_000 {
				tm.event(stuck[:], &linkpb.FromHost{Message: &linkpb.FromHost_Metrics{Metrics: &linkpb.TaskMetrics{}}})
			}
		}()
		const jobs = 100
		ids := make(chan graph.JobID, jobs)
		for range jobs {
			go func() {
				id, err := c.jm.Dispatcher().Submit(t.Context(), words(3))
				if err != nil {
					t.Error(err)
				}
				ids <- id
			}()
		}
		seen := map[graph.JobID]bool{}
		for range jobs {
			id := <-ids
			seen[id] = true
			c.await(id, finished)
		}
		if len(seen) != jobs {
			t.Errorf("%d ids for %d jobs", len(seen), jobs)
		}
		<-flood
		synctest.Wait()
		if o := c.jm.Overview(); o.JobsRunning != 1 || o.JobsFinished != jobs {
			t.Errorf("overview %+v, want the stuck job and %d finished ones", o, jobs)
		}
		time.Sleep(time.Hour + time.Second)
		if o := c.jm.Overview(); o.JobsFinished != 0 {
			t.Errorf("%d finished jobs after jobstore.expiration-time", o.JobsFinished)
		}
	})
}

func TestSubmitRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		g := words(1)
		c.await(c.submit(g), finished)
		if _, err := c.jm.Dispatcher().Submit(t.Context(), g); !errors.Is(err, dispatcher.ErrDuplicate) {
			t.Errorf("second submission: %v, want ErrDuplicate", err)
		}
		// The same definition and key from another driver is another job.
		c.await(c.submit(words(1)), finished)
		c.log.fail = func(ha.Record) error { return errors.New("disk is full") }
		id := words(1)
		if _, err := c.jm.Dispatcher().Submit(t.Context(), id); err == nil {
			t.Error("a job was accepted that couldn't be recorded")
		}
		if _, known := c.jm.Dispatcher().Job(id.ID()); known {
			t.Error("a job that couldn't be recorded is known")
		}
		c.log.fail = nil
		if err := c.end(resourcemanager.StatusSucceeded); err != nil {
			t.Error(err)
		}
		if _, err := c.jm.Dispatcher().Submit(t.Context(), words(1)); !errors.Is(err, dispatcher.ErrShutdown) {
			t.Errorf("submission after the end: %v, want ErrShutdown", err)
		}
	})
}

// TestFencedWithNothingToRecord: a JobManager without jobs, or whose jobs wait, learns that another one leads.
func TestFencedWithNothingToRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, map[string]string{"heartbeat.interval": "7 s"}, nil)
		c.log.mu.Lock()
		c.log.fenced = true
		c.log.mu.Unlock()
		began := time.Now()
		if err := <-c.run; !errors.Is(err, ha.ErrFenced) || time.Since(began) != 7*time.Second {
			t.Errorf("Run: %v after %v, want ErrFenced after heartbeat.interval", err, time.Since(began))
		}
		c.run <- nil
		if err := c.end(resourcemanager.StatusUndefined); err != nil {
			t.Error(err)
		}
	})
}

// TestFailover: a second JobManager on the records of the first.
func TestFailover(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		done := words(2)
		c.await(c.submit(done), finished)
		c.change(behaviour{hold: true})
		half := words(2)
		half.Key = "2"
		id := c.submit(half)
		synctest.Wait()
		c.jm.giveUp(fmt.Errorf("test: %w", ha.ErrFenced))
		synctest.Wait()
		if _, err := c.jm.Dispatcher().Await(t.Context(), id); err == nil {
			t.Error("a suspended job has a result")
		}
		if err := c.end(resourcemanager.StatusSucceeded); !errors.Is(err, ha.ErrFenced) {
			t.Errorf("Run: %v, want ErrFenced", err)
		}
		records := c.log.records

		// Application mode: the driver runs again with new ids and gets the old ones back.
		c = start(t, nil, func(config *Config) { config.Records, config.Reattach = records, true })
		again := words(2)
		got := c.submit(again)
		if got != done.ID() {
			t.Errorf("re-attached to %s, want %s", got, done.ID())
		}
		if r := c.await(got, finished); r.GetCounters()["records"] != 20 {
			t.Errorf("stored result %v", r)
		}
		if n := c.jm.Overview().TaskManagers; n != 0 {
			t.Errorf("the finished job runs again on %d TaskManagers", n)
		}
		again = words(2)
		again.Key = "2"
		if got = c.submit(again); got != half.ID() {
			t.Errorf("re-attached to %s, want %s", got, half.ID())
		}
		c.await(got, finished)
		if err := c.end(resourcemanager.StatusSucceeded); err != nil {
			t.Error(err)
		}

		// Session mode: the JobManager starts again what has no result.
		c = start(t, nil, func(config *Config) { config.Records = records })
		synctest.Wait()
		c.await(half.ID(), finished)
		c.end(resourcemanager.StatusSucceeded)

		// With the committed output on record nothing runs again: it is committed.
		payload, err := proto.Marshal(&linkpb.TaskUpdate{Commits: []*linkpb.OperatorCommit{{Operator: half.Vertices[1].Id, Committables: [][]byte{[]byte("part-x")}}}})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, ha.Record{Kind: ha.KindCommittedOutput, Key: half.ID().String(), Payload: payload})
		c = start(t, nil, func(config *Config) { config.Records = records })
		synctest.Wait()
		c.await(half.ID(), finished)
		synctest.Wait()
		tm := c.tm("worker-1")
		if got := tm.committed(); !slices.Equal(got, []string{"[part-x]"}) || len(tm.tasks[half.ID()]) != 0 {
			t.Errorf("committed %v after deploying %d tasks, want part-x and none", got, len(tm.tasks[half.ID()]))
		}
		c.end(resourcemanager.StatusSucceeded)
	})
}

func TestStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		c.behave.hold = true
		id := c.submit(words(2))
		synctest.Wait()
		// RequestShutdown cancels what runs.
		if err := c.end(resourcemanager.StatusKilled); err != nil {
			t.Error(err)
		}
		if r, _ := c.jm.Dispatcher().Result(id); r.GetStatus() != canceled {
			t.Errorf("result %v, want CANCELED", r)
		}
		// A driver that can't go on ends the JobManager; jobs are suspended.
		c = start(t, nil, nil)
		c.behave.hold = true
		id = c.submit(words(2))
		synctest.Wait()
		c.driver.events.Fatal(errors.New("application was killed"))
		synctest.Wait()
		if err := c.end(resourcemanager.StatusSucceeded); err == nil || !strings.Contains(err.Error(), "application was killed") {
			t.Errorf("Run: %v, want the driver's error", err)
		}
		if r, _ := c.jm.Dispatcher().Result(id); r != nil || c.log.count(ha.KindJobResult) != 0 {
			t.Errorf("a suspended job has the result %v", r)
		}
	})
}

func TestRouting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, nil, nil)
		defer c.end(resourcemanager.StatusSucceeded)
		c.behave.hold = true
		id := c.submit(words(2))
		synctest.Wait()
		tm := c.tm("worker-1")
		// Messages for unknown jobs and malformed ones change nothing.
		other := graph.NewJobID()
		tm.event(other[:], &linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: &linkpb.HostExit{ExitCode: 1}}})
		tm.event([]byte("short"), &linkpb.FromHost{})
		tm.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Offer{Offer: &rpcpb.SlotOffer{JobId: other[:], Allocation: []byte("x")}}})
		tm.send(&rpcpb.FromTaskManager{Message: &rpcpb.FromTaskManager_Heartbeat{Heartbeat: &rpcpb.Heartbeat{Resident: 7, HostsResident: 9}}})
		tm.send(&rpcpb.FromTaskManager{})
		synctest.Wait()
		info, ok := c.jm.TaskManager("worker-1")
		if !ok || info.Resident != 7 || info.HostsResident != 9 || info.FreeSlots != 0 || !slices.Equal(info.Allocated, []graph.JobID{id, id}) {
			t.Errorf("TaskManager %+v", info)
		}
		for _, task := range tm.tasks[id] {
			tm.finish(id[:], task)
		}
		c.await(id, finished)
		if _, err := c.jm.OpenArtifact(context.Background(), [32]byte{}); err == nil {
			t.Error("an artifact was opened although there are none")
		}
	})
}
