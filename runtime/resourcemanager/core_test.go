package resourcemanager

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// TestScripts runs the scripts of testdata: events in, actions out. Rewrite them with -rewrite and review the diff.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{}
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	c   *core
	now int64
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	if d.HasArg("at") {
		d.ScanArgs(t, "at", &s.now)
	}
	text := func(key, otherwise string) string {
		if d.HasArg(key) {
			d.ScanArgs(t, key, &otherwise)
		}
		return strings.ReplaceAll(otherwise, "_", " ")
	}
	number := func(key string, otherwise int) int {
		if d.HasArg(key) {
			d.ScanArgs(t, key, &otherwise)
		}
		return otherwise
	}
	id := text("id", "")
	var err error
	switch d.Cmd {
	case "new":
		s.now = 1_000_000
		s.c = newCore(settings{spec: WorkerSpec{MemoryMB: 1024, VCores: 1, Slots: number("slots", 1)}, static: d.HasArg("static"),
			minSlots: number("min", 0), maxSlots: number("max", 1<<30), redundant: number("redundant", 0), spread: d.HasArg("spread"),
			idleTimeout: 30_000, registrationTimeout: 60_000, maxFailuresPerMinute: float64(number("rate", 10)), retryInterval: 3000}, 0)
		s.c.recovering = d.HasArg("recovering")
		if !s.c.recovering {
			s.c.driverStarted(s.now)
		}
	case "started":
		s.c.driverStarted(s.now)
	case "declare":
		job := jobOf(text("job", ""))
		s.c.declare(s.now, &rpcpb.JobInfo{Graph: &graph.JobGraph{JobId: job[:]}}, number("slots", 0), number("least", number("slots", 0)))
	case "release":
		s.c.release(s.now, jobOf(text("job", "")), "ended")
	case "return":
		s.c.giveBack(s.now, jobOf(text("job", "")), id, s.allocation(id, number("slot", 0)))
	case "granted":
		s.c.granted(s.now, id, text("node", "n1"), WorkerSpec{Slots: number("slots", s.c.spec.Slots)})
	case "ended":
		kinds := map[string]EndKind{"failed": EndFailed, "released": EndReleased, "preempted": EndPreempted, "lost": EndNodeLost}
		s.c.ended(s.now, id, WorkerEnd{Kind: kinds[text("kind", "failed")], ExitCode: number("code", 0), Diagnostics: text("why", "")})
	case "register":
		r := &rpcpb.Register{ResourceId: id, Slots: int32(number("slots", s.c.spec.Slots))}
		if left := text("left", ""); left != "" {
			job := jobOf(left)
			r.Allocated = []*rpcpb.SlotReport{{Slot: 0, Allocation: []byte("old"), JobId: job[:]}}
		}
		err = s.c.register(s.now, r)
	case "disconnected":
		s.c.disconnected(s.now, id, "connection reset")
	case "refused":
		s.c.refused(s.now, id, &rpcpb.SlotRefused{Allocation: s.allocation(id, number("slot", 0)), Reason: "disk is full"})
	case "released":
		s.c.jobReleased(s.now, id, jobOf(text("job", "")))
	case "waiting":
		s.c.driverWaiting(s.now, text("why", ""))
	case "tick":
		at, ok := s.c.next()
		for ok && at <= s.now { // as the actor does: one tick for each time that comes
			s.c.tick(s.now)
			again, more := s.c.next()
			if more && again <= s.now {
				t.Fatalf("%s: tick at %d leaves something due at %d", d.Pos, s.now, again)
			}
			at, ok = again, more
		}
	case "state":
		return s.state()
	default:
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	}
	s.c.flush(s.now)
	var out strings.Builder
	for _, a := range s.c.take() {
		fmt.Fprintln(&out, a)
	}
	if err != nil {
		fmt.Fprintln(&out, "error:", err)
	}
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

// jobOf makes an id that begins with the digit of "j1".
func jobOf(name string) graph.JobID {
	var id graph.JobID
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "j"))
	id[0], id[3] = byte(n<<4|n), byte(n)
	return id
}

func (s *script) allocation(id string, slot int) []byte {
	return []byte(s.c.byTM[id].slots[slot].allocation)
}

func (s *script) state() string {
	var out strings.Builder
	n := s.c.totals()
	fmt.Fprintf(&out, "slots %d, free %d, missing %d, starting %d, declared %d\n", n.slots, n.free, n.missing, n.starting, s.c.declared)
	for _, tm := range s.c.tms {
		fmt.Fprintf(&out, "%s:", tm.id())
		for _, sl := range tm.slots {
			switch {
			case !sl.taken:
				fmt.Fprint(&out, " free")
			case sl.released:
				fmt.Fprintf(&out, " (%s)", short(sl.job))
			default:
				fmt.Fprintf(&out, " %s", short(sl.job))
			}
		}
		fmt.Fprintln(&out)
	}
	if at, ok := s.c.next(); ok {
		fmt.Fprintf(&out, "next in %d ms\n", at-s.now)
	}
	return out.String()
}
