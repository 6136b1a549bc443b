package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
)

// printer writes results to standard output: Flink's lines, or JSON objects. It is safe for concurrent use.
type printer struct {
	mu   sync.Mutex // guards out
	out  io.Writer
	json bool
}

// event is a line of --json. What doesn't apply is left out.
type event struct {
	// Event is deployed, submitted, job-ended, ended, cancelled, triggered, savepoint, checkpoint, disposed or error.
	Event       string         `json:"event"`
	ID          string         `json:"clusterId,omitempty"`
	TrackingURL string         `json:"trackingUrl,omitempty"`
	Endpoint    string         `json:"endpoint,omitempty"`
	JobID       string         `json:"jobId,omitempty"`
	Name        string         `json:"name,omitempty"`
	State       string         `json:"state,omitempty"`
	Diagnostics string         `json:"diagnostics,omitempty"`
	Result      *api.JobResult `json:"result,omitempty"`
	Message     string         `json:"message,omitempty"`
	TriggerID   string         `json:"triggerId,omitempty"`
	Path        string         `json:"path,omitempty"`
	Checkpoint  int64          `json:"checkpointId,omitempty"`
	ExitCode    *int           `json:"exitCode,omitempty"`
}

// write writes text for people, or v for programs.
func (p *printer) write(text string, v any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.json {
		io.WriteString(p.out, text) //nolint:errcheck // nothing can be done about a closed standard output
		return
	}
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v) //nolint:errcheck // as above
}

// text writes for people only.
func (p *printer) text(format string, args ...any) {
	if !p.json {
		p.write(fmt.Sprintf(format, args...), nil)
	}
}

// deployed prints a new cluster: its id alone on a line, for programs that look for it.
func (p *printer) deployed(c *client.Cluster) {
	text := c.ID + "\n"
	if url := webInterface(c); url != "" {
		text += "JobManager Web Interface: " + url + "\n"
	}
	p.write(text, event{Event: "deployed", ID: c.ID, TrackingURL: c.TrackingURL, Endpoint: c.Endpoint})
}

func webInterface(c *client.Cluster) string {
	if c.TrackingURL != "" {
		return c.TrackingURL
	}
	return c.Endpoint
}

func (p *printer) submitted(id graph.JobID, name string) {
	p.write(fmt.Sprintf("Job has been submitted with JobID %s\n", id), event{Event: "submitted", JobID: id.String(), Name: name})
}

// result prints the result of a job that finished; the others' failures are for standard error.
func (p *printer) result(r *linkpb.JobResult) {
	j := api.JobResultOf(r)
	e := event{Event: "job-ended", JobID: j.ID, Name: j.Name, State: j.State, Result: j}
	if r.GetStatus() != linkpb.JobStatus_FINISHED {
		p.write("", e)
		return
	}
	text := fmt.Sprintf("Program execution finished\nJob with JobID %s has finished.\nJob Runtime: %d ms\n\n", j.ID, j.Runtime)
	if len(j.Counters) > 0 {
		text += "Accumulator Results: \n"
		for _, name := range slices.Sorted(maps.Keys(j.Counters)) {
			text += fmt.Sprintf("- %s (int64): %d\n", name, j.Counters[name])
		}
	}
	p.write(text, e)
}

// ended prints the final report of a cluster, for programs.
func (p *printer) ended(r client.Report) {
	p.write("", event{Event: "ended", ID: r.ID, Name: r.Name, State: r.State.String(), Diagnostics: r.Diagnostics,
		TrackingURL: r.TrackingURL})
}

// reportJSON is the last line of a command with --json that failed.
func reportJSON(out io.Writer, err error, code int) {
	if err == nil {
		return
	}
	e := event{Event: "error", Message: err.Error(), ExitCode: &code}
	json.NewEncoder(out).Encode(e) //nolint:errcheck // nothing can be done about a closed standard output
}
