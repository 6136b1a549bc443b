package entrypoint

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest"
)

// TestLinger: the JobManager of an application waits for an attached client to fetch every result, as long as there is
// one, and never for long.
func TestLinger(t *testing.T) {
	runs := []executor.Run{{ID: graph.JobID{1}}, {ID: graph.JobID{2}}}
	ask := func(j *jobManager, token string) {
		r := httptest.NewRequest(http.MethodGet, "/anything", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		j.rest.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, test := range []struct {
		name     string
		attached bool
		client   func(ctx context.Context, j *jobManager) // runs beside it
		before   func(j *jobManager)
		want     time.Duration // how long it lingers
	}{
		{name: "detached", want: 0},
		{name: "told before", attached: true, before: func(j *jobManager) {
			j.delivered.add(graph.JobID{1})
			j.delivered.add(graph.JobID{2})
		}, want: 0},
		{name: "nobody comes", attached: true, want: lingerTime},
		{name: "a stranger asks", attached: true, before: func(j *jobManager) { ask(j, "stolen") }, want: lingerTime},
		{name: "comes late, and once for each", attached: true, client: func(_ context.Context, j *jobManager) {
			time.Sleep(3 * time.Second)
			ask(j, "token")
			j.delivered.add(graph.JobID{2})
			time.Sleep(time.Second)
			ask(j, "token")
			j.delivered.add(graph.JobID{1})
		}, want: 4 * time.Second},
		{name: "has gone", attached: true, before: func(j *jobManager) {
			ask(j, "token")
			time.Sleep(clientGone + time.Second)
		}, want: 0},
		{name: "goes meanwhile", attached: true, before: func(j *jobManager) { ask(j, "token") }, want: clientGone + deliveryInterval},
		{name: "asks for anything else", attached: true, client: func(ctx context.Context, j *jobManager) {
			for ctx.Err() == nil {
				ask(j, "token")
				time.Sleep(250 * time.Millisecond)
			}
		}, want: lingerTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pairs := map[string]string{}
				if test.attached {
					pairs["execution.attached"] = "true"
				}
				c, err := conf.FromMap(pairs)
				if err != nil {
					t.Fatal(err)
				}
				j := &jobManager{conf: c, log: slog.New(slog.DiscardHandler), delivered: newDeliveries()}
				if j.rest, err = rest.New(rest.Config{Conf: c, Token: "token"}); err != nil {
					t.Fatal(err)
				}
				ask(j, "token") // at start-up: it is told to come back
				j.rest.SetBackend(rest.Backend{})
				if test.before != nil {
					test.before(j)
				}
				ctx, stop := context.WithCancel(t.Context())
				var client sync.WaitGroup
				if test.client != nil {
					client.Go(func() { test.client(ctx, j) })
				}
				began := time.Now()
				j.linger(t.Context(), runs)
				if took := time.Since(began); took != test.want {
					t.Errorf("lingered for %s, want %s", took, test.want)
				}
				stop()
				client.Wait()
			})
		})
	}
}
