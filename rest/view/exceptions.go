package view

import (
	"strings"

	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/jobmaster"
)

// Exceptions is GET /jobs/:jobid/exceptions with at most limit entries; 0 is no limit.
func Exceptions(d *jobmaster.JobDetails, limit int) api.Exceptions {
	out := api.Exceptions{All: []api.ExceptionEntry{}, History: api.ExceptionHistory{Entries: []api.RootException{}}}
	failures := d.Failures
	truncated := d.FailuresTruncated
	if limit > 0 && len(failures) > limit {
		failures, truncated = failures[:limit], true
	}
	out.Truncated, out.History.Truncated = truncated, truncated
	for i := range failures {
		f := &failures[i]
		root := api.RootException{Exception: exception(f), Concurrent: []api.Exception{}}
		for j := range f.Concurrent {
			root.Concurrent = append(root.Concurrent, exception(&f.Concurrent[j]))
		}
		out.History.Entries = append(out.History.Entries, root)
		if f.Task != "" {
			out.All = append(out.All, api.ExceptionEntry{Exception: root.Stacktrace, Task: f.Task, Location: f.Endpoint,
				Endpoint: f.Endpoint, Timestamp: f.Time, TaskManagerID: f.ResourceID})
		}
	}
	if len(failures) > 0 {
		text, at := out.History.Entries[0].Stacktrace, failures[0].Time
		out.RootException, out.Timestamp = &text, &at
	}
	return out
}

func exception(f *jobmaster.FailureDetails) api.Exception {
	e := api.Exception{Name: f.Message, Stacktrace: f.Message + "\n", Timestamp: f.Time, FailureLabels: map[string]string{},
		TaskName: known(f.Task), Location: known(f.Endpoint), Endpoint: known(f.Endpoint), TaskManagerID: known(f.ResourceID)}
	if f.Operator != "" {
		e.Stacktrace += "in operator " + f.Operator + "\n"
	}
	if f.Stack != "" {
		e.Stacktrace += strings.TrimSuffix(f.Stack, "\n") + "\n"
	}
	return e
}

// known is s, or null if it is empty.
func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
