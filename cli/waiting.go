package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/api"
)

const (
	// waitsAfter is how long a job may be without slots before the user is told what it waits for.
	waitsAfter = 2 * time.Second
	// waitsInterval is how often the reason is asked for meanwhile.
	waitsInterval = 2 * time.Second
)

// waits tells what running jobs without slots wait for, and again when the reason changes.
type waits struct {
	reason func(ctx context.Context, id graph.JobID) (string, error)
	tell   func(j api.JobOverview, reason string)
	jobs   map[string]*wait
}

// wait is one job's.
type wait struct {
	ask  time.Time // when to ask next
	told string
}

func newWaits(c *client.Client, log *slog.Logger) *waits {
	return &waits{
		reason: func(ctx context.Context, id graph.JobID) (string, error) {
			d, err := c.Job(ctx, id)
			if err != nil {
				return "", err
			}
			return d.PendingSlots, nil
		},
		tell: func(j api.JobOverview, reason string) {
			log.Info("job waits for slots", "job", j.ID, "name", j.Name, "reason", reason)
		},
		jobs: map[string]*wait{},
	}
}

// observe takes what the cluster says of a job. An error of the question is no news: it is asked again later.
func (w *waits) observe(ctx context.Context, now time.Time, id graph.JobID, j api.JobOverview) {
	if j.State != "RUNNING" || j.Tasks["created"]+j.Tasks["scheduled"] < j.Tasks["total"] {
		delete(w.jobs, j.ID)
		return
	}
	s := w.jobs[j.ID]
	if s == nil {
		w.jobs[j.ID] = &wait{ask: now.Add(waitsAfter)}
		return
	}
	if now.Before(s.ask) {
		return
	}
	s.ask = now.Add(waitsInterval)
	if reason, err := w.reason(ctx, id); err == nil && reason != "" && reason != s.told {
		s.told = reason
		w.tell(j, reason)
	}
}
