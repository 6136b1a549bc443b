package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

// An attached command that ends before its jobs says what becomes of each, and how to cancel those that go on.
func TestJobsLeftBehind(t *testing.T) {
	ended, left := graph.JobID{1}, graph.JobID{2}
	for name, test := range map[string]struct {
		target string
		tied   bool
		err    error
		want   string
	}{
		"session":       {targetSession, false, nil, `cancel="weft cancel -t yarn-session -Dyarn.application.id=` + appID + " " + left.String() + `"`},
		"per-job":       {targetPerJob, false, nil, `cancel="weft cancel -t yarn-per-job -Dyarn.application.id=` + appID + " " + left.String() + `"`},
		"standalone":    {targetRemote, false, nil, `cancel="weft cancel -m node1:8081 ` + left.String() + `"`},
		"tied":          {targetSession, true, nil, "the job was cancelled with this command"},
		"not cancelled": {targetSession, true, errors.New("no answer"), "the job goes on without this command"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			s := &session{Env: k.Env, target: test.target, log: newLogger(k.err, 0)}
			var err error
			if s.conf, err = conf.With(s.conf, conf.ExecutionShutdownOnAttachedExit, test.tied); err != nil {
				t.Fatal(err)
			}
			o := &outcome{}
			o.on(&client.Cluster{ID: appID, Endpoint: "http://node1:8081"})
			o.submitted(ended)
			o.submitted(left)
			o.ended(&linkpb.JobResult{JobId: ended[:], Status: linkpb.JobStatus_FINISHED})
			s.tellLeft(o, test.err)
			if got := k.err.String(); !strings.Contains(got, test.want) || !strings.Contains(got, "job="+left.String()) || strings.Contains(got, ended.String()) {
				t.Errorf("standard error %q, want %q for job %s alone", got, test.want, left)
			}
		})
	}
}
