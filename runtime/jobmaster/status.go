package jobmaster

import (
	"fmt"

	"github.com/weftstream/weft/link/linkpb"
)

// Short names of the job statuses.
const (
	initializing = linkpb.JobStatus_INITIALIZING
	created      = linkpb.JobStatus_CREATED
	running      = linkpb.JobStatus_RUNNING
	failing      = linkpb.JobStatus_FAILING
	failed       = linkpb.JobStatus_FAILED
	cancelling   = linkpb.JobStatus_CANCELLING
	canceled     = linkpb.JobStatus_CANCELED
	finished     = linkpb.JobStatus_FINISHED
	restarting   = linkpb.JobStatus_RESTARTING
	suspended    = linkpb.JobStatus_SUSPENDED
)

// statusTable holds every legal transition of a job:
//
//	INITIALIZING ─→ CREATED ─→ RUNNING ─────────────→ FINISHED
//	      │            │        │  ↑ │
//	      │            │        │  │ └─→ RESTARTING ─┐
//	      │            │        │  └─────────────────┤
//	      ├────────────┴────────┴─→ FAILING ←────────┤
//	      │                          │   └──→ FAILED │
//	      │                          ↓               │
//	      └────────────────────→ CANCELLING ←────────┘
//	                                 └──────→ CANCELED
//
// and from every status that isn't final to SUSPENDED: this JobManager gives the job up, another one may go on with it.
var statusTable = map[linkpb.JobStatus][]linkpb.JobStatus{
	initializing: {created, failing, cancelling, suspended},
	created:      {running, failing, cancelling, suspended},
	running:      {finished, failing, cancelling, restarting, suspended},
	restarting:   {running, failing, cancelling, suspended},
	failing:      {failed, cancelling, suspended},
	cancelling:   {canceled, suspended},
}

// Terminal says that a job with status s has ended, also if another JobManager may go on with it (SUSPENDED).
func Terminal(s linkpb.JobStatus) bool { return len(statusTable[s]) == 0 }

func legalStatus(from, to linkpb.JobStatus) bool { return contains(statusTable[from], to) }

func contains[S comparable](list []S, s S) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// setStatus enters a status. An illegal transition is a defect of the core: the job is suspended with it rather than
// running on in a state that nobody has thought of.
func (c *core) setStatus(now int64, to linkpb.JobStatus) {
	if !legalStatus(c.status, to) {
		c.defect(now, fmt.Errorf("job status %s can't follow %s", to, c.status))
		return
	}
	c.note("job %s → %s", c.status, to)
	c.status = to
	c.timestamps[to] = now
	c.modified = now
}
