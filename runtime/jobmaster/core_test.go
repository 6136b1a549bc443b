package jobmaster

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/checkpoint"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// TestScripts runs the scripts of testdata: events in, actions out. Rewrite them with -rewrite and review the diff.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{}
		datadriven.RunTest(t, path, s.run)
	})
}

// script drives a core. Vertices have names of one letter, which is the first byte of their id; an operator that commits
// has the id of its vertex. Allocations are named "tm1/0".
type script struct {
	c     *core
	now   int64
	store checkpoint.Store // the last one
}

const scriptStart = 1_000_000

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	if d.HasArg("at") {
		d.ScanArgs(t, "at", &s.now)
	}
	text := func(key string) (v string) {
		d.MaybeScanArgs(t, key, &v)
		return strings.ReplaceAll(v, "_", " ")
	}
	number := func(key string) (v int) {
		d.MaybeScanArgs(t, key, &v)
		return v
	}
	tm := text("tm")
	loc := Location{ResourceID: tm, Host: "node-" + tm, DataAddress: tm + ":9"}
	event := func(ev *linkpb.FromHost) { s.c.hostEvent(s.now, loc, ev) }
	var answer string
	switch d.Cmd {
	case "new":
		s.now = scriptStart
		s.c = s.newCore(t, d)
	case "start":
		s.c.start(s.now)
	case "offer":
		for _, n := range strings.Split(text("slot"), "+") {
			i, _ := strconv.Atoi(n)
			s.c.offered(s.now, loc, &rpcpb.SlotOffer{JobId: s.c.id[:], Slot: int32(i), Allocation: []byte(tm + "/" + n)})
		}
	case "refuse":
		for range max(1, number("times")) {
			s.c.refused(s.now, tm, &rpcpb.SlotRefused{Allocation: []byte(tm + "/" + text("slot")), Reason: text("why")})
		}
	case "task":
		for _, id := range s.tasks(t, d) {
			event(&linkpb.FromHost{Message: &linkpb.FromHost_Task{Task: s.update(t, d, id)}})
		}
	case "metrics":
		for _, id := range s.tasks(t, d) {
			event(&linkpb.FromHost{Message: &linkpb.FromHost_Metrics{Metrics: &linkpb.TaskMetrics{Tasks: []*linkpb.TaskMetric{{Id: id,
				Io: &linkpb.TaskIO{ReadRecords: int64(number("read"))}, Counters: map[string]int64{"n": int64(number("n"))}}}}}})
		}
	case "failed":
		event(&linkpb.FromHost{Message: &linkpb.FromHost_Failed{Failed: &linkpb.Failure{Message: text("why"), Secondary: d.HasArg("secondary"),
			Vertex: text("vertex"), Subtask: int32(number("subtask"))}}})
	case "exit":
		event(&linkpb.FromHost{Message: &linkpb.FromHost_Exit{Exit: &linkpb.HostExit{ExitCode: int32(number("code")), Signal: text("signal"),
			Expected: d.HasArg("expected"), StderrTail: text("stderr")}}})
	case "request":
		event(&linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorRequest{CoordinatorRequest: &linkpb.CoordinatorRequest{
			Seq: int64(number("seq")), Operator: vertexID(text("op")), Subtask: int32(number("subtask")), Payload: []byte(text("say"))}}})
	case "response":
		event(&linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorResponse{CoordinatorResponse: &linkpb.CoordinatorResponse{
			Seq: int64(number("seq")), Payload: []byte(text("say"))}}})
	case "commit-done":
		seq := s.c.sentCommits[idOf(vertexID(text("op")))] - int64(number("earlier"))
		event(&linkpb.FromHost{Message: &linkpb.FromHost_CommitDone{CommitDone: &linkpb.CommitDone{Operator: vertexID(text("op")), Error: text("error"), Seq: seq}}})
	case "lost":
		s.c.taskManagerLost(s.now, tm, text("why"))
	case "released":
		s.c.jobReleased(s.now, tm)
	case "shortage":
		s.c.slotShortage(s.now, text("why"), d.HasArg("fatal"))
	case "cancel":
		answer = fmt.Sprintf("accepted: %v\n", s.c.cancel(s.now))
	case "appended":
		errs := map[string]error{"fenced": fmt.Errorf("append: %w", ha.ErrFenced), "large": ha.ErrTooLarge, "io": errors.New("disk is full")}
		s.c.appended(s.now, errs[text("error")])
	case "tick":
		for at, ok := s.c.next(); ok && at <= s.now; at, ok = s.c.next() {
			s.c.tick(s.now)
			if again, more := s.c.next(); more && again <= s.now {
				t.Fatalf("%s: tick at %d leaves something due at %d", d.Pos, s.now, again)
			}
		}
	case "prepared":
		s.c.cp.Prepared(s.now, int64(number("id")), "file:/c", nil)
		s.c.checkpointActions(s.now)
	case "snapshots":
		event(&linkpb.FromHost{Message: &linkpb.FromHost_CoordinatorSnapshots{CoordinatorSnapshots: &linkpb.CoordinatorSnapshots{Checkpoint: int64(number("id"))}}})
	case "ack":
		for _, id := range s.tasks(t, d) {
			a := &linkpb.CheckpointAck{Id: id, Checkpoint: int64(number("id")), State: &linkpb.TaskState{}}
			if k := s.c.byOperator[idOf(id.GetVertex())]; k != nil && k.commits {
				a.Commits = []*linkpb.OperatorCommit{{Operator: id.GetVertex(), Committables: [][]byte{fmt.Appendf(nil, "cp%d-%d", a.Checkpoint, id.GetSubtask())}}}
			}
			event(&linkpb.FromHost{Message: &linkpb.FromHost_CheckpointAck{CheckpointAck: a}})
		}
	case "stored":
		s.c.stored(s.now, int64(number("id")), s.store.Pointer, nil, false)
	case "savepoint":
		s.c.trigger(s.now, checkpoint.Request{ID: 1, Savepoint: true, Directory: "file:/s", Stop: d.HasArg("stop")})
	case "bounds": // of all vertices
		r := Requirements{}
		for _, v := range s.c.vertices {
			r[v.id] = Bounds{number("lower"), number("upper")}
		}
		if err := s.c.setRequirements(s.now, r); err != nil {
			answer = err.Error() + "\n"
		}
	case "checkpoint-failed":
		s.c.stored(s.now, int64(number("id")), nil, errors.New("disk is full"), false)
	case "stop":
		s.c.suspend(s.now, ErrStopped)
	case "state":
		return s.state()
	case "deployment":
		return s.deployment()
	default:
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	}
	var out strings.Builder
	for _, a := range s.c.take() {
		if a, ok := a.(checkpointAction); ok {
			if store, ok := a.Action.(checkpoint.Store); ok {
				s.store = store
			}
			if p, ok := a.Action.(checkpoint.Prepare); ok { // a savepoint's directory is random
				fmt.Fprintln(&out, "prepare", p.ID)
				continue
			}
		}
		fmt.Fprintln(&out, a)
	}
	return out.String() + answer + map[bool]string{true: "nothing\n"}[out.Len() == 0 && answer == ""]
}

func vertexID(name string) []byte {
	id := make([]byte, 16)
	copy(id, name)
	return id
}

// newCore reads lines like "vertex a p=2 group=x coordinator commits" and "edge a b HASH".
func (s *script) newCore(t *testing.T, d *datadriven.TestData) *core {
	g := &graph.JobGraph{JobId: make([]byte, 16), Name: "words", MaxParallelism: 128}
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		switch f[0] {
		case "vertex":
			v := &graph.JobVertex{Id: vertexID(f[1]), Name: f[1], Parallelism: 1, MaxParallelism: 128, SlotSharingGroup: "default"}
			o := &graph.ChainedOperator{Id: v.Id, Name: "op-" + f[1]}
			for _, arg := range f[2:] {
				k, value, _ := strings.Cut(arg, "=")
				switch k {
				case "p":
					p, _ := strconv.Atoi(value)
					v.Parallelism = int32(p)
				case "group":
					v.SlotSharingGroup = value
				case "source":
					v.Source = true
				case "coordinator":
					o.Coordinator = true
				case "commits":
					o.Coordinator, o.Commits = true, true
				}
			}
			v.Operators = []*graph.ChainedOperator{o}
			g.Vertices = append(g.Vertices, v)
		case "edge":
			g.Edges = append(g.Edges, &graph.JobEdge{Id: int32(len(g.Edges)), SourceVertex: vertexID(f[1]), TargetVertex: vertexID(f[2]),
				Partitioning: graph.Partitioning(graph.Partitioning_value[f[3]])})
		}
	}
	var committed *linkpb.TaskUpdate
	if d.HasArg("committed") {
		committed = &linkpb.TaskUpdate{Counters: map[string]int64{"n": 7}}
		for _, v := range g.Vertices {
			if v.Operators[0].Commits {
				committed.Commits = append(committed.Commits, &linkpb.OperatorCommit{Operator: v.Id, Committables: [][]byte{[]byte("part-" + v.Name)}})
			}
		}
	}
	c, err := newCore(g, s.settings(t, d), committed, s.now)
	if err != nil {
		t.Fatalf("%s: %s", d.Pos, err)
	}
	return c
}

// settings are none but limits, unless "new" has restart=attempts (of a fixed delay of 100 ms), failover=full, interval=ms or
// adaptive, with increase, max (of the scaling interval, in ms) and delay (of a rescale, in ms).
func (s *script) settings(t *testing.T, d *datadriven.TestData) settings {
	c := settings{slotTimeout: 60_000, cancelTimeout: 30_000, history: 2}
	pairs := map[string]string{"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.delay": "100 ms",
		"execution.checkpointing.dir": "file:/c"}
	if d.HasArg("adaptive") {
		pairs["jobmanager.scheduler"] = "adaptive"
	}
	var attempts, interval, failover, increase, forced, delay string
	d.MaybeScanArgs(t, "increase", &increase)
	d.MaybeScanArgs(t, "max", &forced)
	d.MaybeScanArgs(t, "delay", &delay)
	if increase != "" {
		pairs["jobmanager.adaptive-scheduler.min-parallelism-increase"] = increase
	}
	if delay != "" {
		pairs["jobmanager.adaptive-scheduler.rescale-trigger.max-delay"] = delay + " ms"
	}
	if forced != "" {
		pairs["jobmanager.adaptive-scheduler.scaling-interval.max"] = forced + " ms"
	}
	d.MaybeScanArgs(t, "restart", &attempts)
	d.MaybeScanArgs(t, "interval", &interval)
	d.MaybeScanArgs(t, "failover", &failover)
	if attempts == "" && !d.HasArg("adaptive") && !d.HasArg("scaling") {
		return c
	}
	if attempts != "" {
		pairs["restart-strategy.fixed-delay.attempts"] = attempts
	}
	if interval != "" {
		pairs["execution.checkpointing.interval"] = interval + " ms"
	}
	if failover != "" {
		pairs["jobmanager.execution.failover-strategy"] = failover
	}
	parsed, err := conf.FromMap(pairs)
	if err != nil {
		t.Fatalf("%s: %s", d.Pos, err)
	}
	of := settingsOf(parsed, false)
	c.scalingSettings = of.scalingSettings
	c.restart, c.checkpoints, c.failover = of.restart, of.checkpoints, of.failover
	return c
}

// tasks are those that the arguments name: "task a.0 b.1" or "task a b" for all subtasks on the TaskManager.
func (s *script) tasks(t *testing.T, d *datadriven.TestData) []*linkpb.ExecutionID {
	var ids []*linkpb.ExecutionID
	var tm string
	d.MaybeScanArgs(t, "tm", &tm)
	for _, a := range d.CmdArgs {
		if len(a.Vals) > 0 || s.c.byID[idOf(vertexID(a.Key[:1]))] == nil {
			continue
		}
		name, subtask, one := strings.Cut(a.Key, ".")
		for _, e := range s.c.byID[idOf(vertexID(name))].subtasks {
			if one && strconv.Itoa(e.subtask) != subtask || !one && (e.host == nil || e.host.loc.ResourceID != tm) {
				continue
			}
			id := e.id()
			d.MaybeScanArgs(t, "attempt", &id.Attempt)
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *script) update(t *testing.T, d *datadriven.TestData, id *linkpb.ExecutionID) *linkpb.TaskUpdate {
	var state, why string
	var n int64
	d.MaybeScanArgs(t, "to", &state)
	d.MaybeScanArgs(t, "why", &why)
	d.MaybeScanArgs(t, "n", &n)
	u := &linkpb.TaskUpdate{Id: id, State: linkpb.ExecutionState(linkpb.ExecutionState_value["EXECUTION_"+state])}
	if n != 0 {
		u.Counters = map[string]int64{"n": n}
	}
	switch u.State {
	case execFailed:
		u.Failure = &linkpb.Failure{Message: strings.ReplaceAll(why, "_", " "), Secondary: d.HasArg("secondary"), Stack: "goroutine 1"}
	case execFinished:
		u.Io = &linkpb.TaskIO{ReadRecords: 10}
		if k := s.c.byOperator[idOf(id.GetVertex())]; k != nil && k.commits {
			u.Commits = []*linkpb.OperatorCommit{{Operator: id.GetVertex(), Committables: [][]byte{fmt.Appendf(nil, "part-%d", id.GetSubtask())}}}
		}
		if d.HasArg("forged") {
			u.Commits = append(u.Commits, &linkpb.OperatorCommit{Operator: vertexID("x")},
				&linkpb.OperatorCommit{Operator: vertexID("y"), Committables: [][]byte{[]byte("part")}})
		}
	}
	return u
}

func (s *script) state() string {
	var out strings.Builder
	d := s.c.details()
	fmt.Fprintf(&out, "%s, slots %d/%d", d.Status, d.SlotsAssigned, d.SlotsNeeded)
	if at, ok := s.c.next(); ok {
		fmt.Fprintf(&out, ", next in %d ms", at-s.now)
	}
	fmt.Fprintln(&out)
	for _, v := range d.Vertices {
		fmt.Fprintf(&out, "%s %s:", v.Name, stateName(v.State))
		for _, e := range v.Subtasks {
			fmt.Fprintf(&out, " %s", stateName(e.State))
			if e.Attempt > 0 {
				fmt.Fprintf(&out, "#%d", e.Attempt)
			}
			if e.ResourceID != "" {
				fmt.Fprintf(&out, "@%s", e.ResourceID)
			}
		}
		fmt.Fprintf(&out, ", read %d\n", v.IO.ReadRecords)
	}
	if len(d.Counters) > 0 {
		fmt.Fprintf(&out, "counters %v\n", d.Counters)
	}
	for _, f := range d.Failures {
		fmt.Fprintf(&out, "failure %q task %q on %q\n", f.Message, f.Task, f.ResourceID)
		for _, g := range f.Concurrent {
			fmt.Fprintf(&out, "  beside %q task %q\n", g.Message, g.Task)
		}
	}
	if d.Waiting != "" {
		fmt.Fprintf(&out, "waiting: %s\n", d.Waiting)
	}
	return out.String()
}

// deployment shows the channels of all tasks.
func (s *script) deployment() string {
	var out strings.Builder
	s.c.each(func(e *execution) {
		task := taskOf(e)
		fmt.Fprintf(&out, "%s on %s:", e.name(), e.host.loc.ResourceID)
		for _, g := range task.GetInputs() {
			fmt.Fprintf(&out, " in %d [", g.GetEdge())
			for i, ch := range g.GetChannels() {
				fmt.Fprintf(&out, "%s%d@%s", map[bool]string{true: " "}[i > 0], ch.GetSubtask(), ch.GetDataAddress())
			}
			fmt.Fprint(&out, "]")
		}
		for _, o := range task.GetOutputs() {
			fmt.Fprintf(&out, " out %d %v", o.GetEdge(), o.GetSubtasks())
		}
		fmt.Fprintln(&out)
	})
	return out.String()
}

// TestTables checks that every state is reachable, that final states have no way out, and that the tables agree with
// what the protocol knows.
func TestTables(t *testing.T) {
	if len(linkpb.ExecutionState_name) != StateCount || len(linkpb.JobStatus_name) != StatusCount {
		t.Fatalf("%d execution states and %d job statuses, the package counts %d and %d",
			len(linkpb.ExecutionState_name), len(linkpb.JobStatus_name), StateCount, StatusCount)
	}
	for s := range linkpb.ExecutionState_name {
		state := linkpb.ExecutionState(s)
		wantFinal := state == execFinished || state == execCanceled || state == execFailed
		if final(state) != wantFinal {
			t.Errorf("final(%s) = %v", state, final(state))
		}
		if !final(state) && !legalExecution(state, execFailed) {
			t.Errorf("%s can't fail", state)
		}
	}
	for _, s := range []linkpb.JobStatus{failed, canceled, finished, suspended} {
		if !Terminal(s) {
			t.Errorf("%s isn't terminal", s)
		}
	}
	for s := range statusTable {
		if !legalStatus(s, suspended) {
			t.Errorf("%s can't be suspended", s)
		}
	}
	if legalStatus(finished, failing) || legalStatus(canceled, running) || legalStatus(created, finished) {
		t.Error("illegal transitions are allowed")
	}
}
