package taskmanager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/weftstream/weft/graph"
)

// TestCore runs the scripts in testdata/core: each command is one event, its output the effects and the slot table.
func TestCore(t *testing.T) {
	datadriven.Walk(t, "testdata/core", func(t *testing.T, path string) {
		var c *core
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var slot int
			var allocation, job string
			d.MaybeScanArgs(t, "slot", &slot)
			d.MaybeScanArgs(t, "allocation", &allocation)
			d.MaybeScanArgs(t, "job", &job)
			var id graph.JobID
			copy(id[:], job)
			var out []action
			switch d.Cmd {
			case "new":
				var slots int
				d.ScanArgs(t, "slots", &slots)
				c = newCore(slots)
			case "allocate":
				out = c.allocate(slot, []byte(allocation), id)
			case "free":
				out = c.free([]byte(allocation), id, "returned")
			case "release":
				out = c.release(id, "job is over")
			case "deployed":
				c.deployed(id)
			case "host-ended":
				out = c.hostEnded(id)
			case "slot-timeout":
				out = c.slotTimeout(slot, []byte(allocation), "unused")
			case "shutdown":
				out = c.shutdown("bye")
			case "disconnected":
				out = c.disconnected("lost")
			default:
				d.Fatalf(t, "unknown event %s", d.Cmd)
			}
			return printActions(out) + printCore(c)
		})
	})
}

func jobName(id graph.JobID) string { return strings.TrimRight(string(id[:]), "\x00") }

func printActions(out []action) string {
	var b strings.Builder
	for _, a := range out {
		fmt.Fprintf(&b, "%s job=%s", a.kind, jobName(a.job))
		switch a.kind {
		case actOffer, actRefuse, actArm:
			fmt.Fprintf(&b, " slot=%d allocation=%s", a.slot, a.allocation)
		case actLimits:
			fmt.Fprintf(&b, " slots=%d", a.slots)
		}
		if a.reason != "" {
			reason := a.reason
			if i := strings.Index(reason, "job "); i >= 0 && len(reason) >= i+36 { // a job id in hex
				if id, err := graph.ParseJobID(reason[i+4 : i+36]); err == nil {
					reason = reason[:i+4] + jobName(id) + reason[i+36:]
				}
			}
			fmt.Fprintf(&b, ": %s", reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func printCore(c *core) string {
	var b strings.Builder
	b.WriteString("[")
	for i, s := range c.slots {
		if i > 0 {
			b.WriteString(" ")
		}
		switch {
		case s.allocation == nil:
			b.WriteString("-")
		case s.used:
			fmt.Fprintf(&b, "%s/%s!", jobName(s.job), s.allocation)
		default:
			fmt.Fprintf(&b, "%s/%s", jobName(s.job), s.allocation)
		}
	}
	b.WriteString("]")
	for _, id := range c.sorted() {
		fmt.Fprintf(&b, " %s:%s", jobName(id), map[phase]string{phaseUp: "up", phaseStopping: "stopping", phaseEnded: "ended"}[c.jobs[id].phase])
	}
	return b.String() + "\n"
}
