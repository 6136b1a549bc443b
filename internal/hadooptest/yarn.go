package hadooptest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// App is what the YARN ResourceManager reports of an application.
type App struct {
	ID          string `json:"id"`
	User        string `json:"user"`
	Name        string `json:"name"`
	Type        string `json:"applicationType"`
	Tags        string `json:"applicationTags"` // comma separated, in lower case
	Queue       string `json:"queue"`           // the whole path, like root.default
	State       string `json:"state"`           // NEW, NEW_SAVING, SUBMITTED, ACCEPTED, RUNNING, FINISHED, FAILED or KILLED
	FinalStatus string `json:"finalStatus"`     // UNDEFINED until the end; SUCCEEDED, FAILED, KILLED, ENDED
	Diagnostics string `json:"diagnostics"`
	TrackingURL string `json:"trackingUrl"`
	AMAddress   string `json:"amRPCAddress"` // host:port as registered; "" while there is none
	Containers  int    `json:"runningContainers"`
	AllocatedMB int64  `json:"allocatedMB"`
	StartedMS   int64  `json:"startedTime"`
	FinishedMS  int64  `json:"finishedTime"`
}

// Ended says whether the application will never change any more.
func (a App) Ended() bool { return a.State == "FINISHED" || a.State == "FAILED" || a.State == "KILLED" }

func (a App) String() string {
	return fmt.Sprintf("%s %q state %s, final status %s, %d containers, diagnostics %q",
		a.ID, a.Name, a.State, a.FinalStatus, a.Containers, strings.TrimSpace(a.Diagnostics))
}

// LookupApp returns one application; the error wraps a [StatusError] with status 404 if there is none of that id.
func (c *Cluster) LookupApp(ctx context.Context, id string) (App, error) {
	var answer struct {
		App App `json:"app"`
	}
	err := c.getJSON(ctx, c.REST+"/ws/v1/cluster/apps/"+url.PathEscape(id), &answer)
	return answer.App, err
}

// LookupApps returns the applications in any of the states, or all if none is named.
func (c *Cluster) LookupApps(ctx context.Context, states ...string) ([]App, error) {
	var answer struct {
		Apps struct {
			App []App `json:"app"`
		} `json:"apps"`
	}
	query := ""
	if len(states) > 0 {
		query = "?states=" + url.QueryEscape(strings.Join(states, ","))
	}
	err := c.getJSON(ctx, c.REST+"/ws/v1/cluster/apps"+query, &answer)
	return answer.Apps.App, err
}

// App returns one application or fails the test.
func (c *Cluster) App(t testing.TB, id string) App {
	t.Helper()
	app, err := c.LookupApp(context.Background(), id)
	if err != nil {
		t.Fatalf("report of %s: %v", id, err)
	}
	return app
}

// LiveApps returns the applications that have not ended, those of other tests included.
func (c *Cluster) LiveApps(t testing.TB) []App {
	t.Helper()
	apps, err := c.LookupApps(context.Background(), "NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
	if err != nil {
		t.Fatalf("list the running applications: %v", err)
	}
	return apps
}

// AwaitState waits until an application is in one of the states and returns its report. It fails the test after the time,
// or as soon as the application has ended in another state. A ResourceManager that is restarting is waited for.
func (c *Cluster) AwaitState(t testing.TB, id string, within time.Duration, states ...string) App {
	t.Helper()
	var app App
	Await(t, within, id+" in state "+strings.Join(states, " or "), func() (bool, string) {
		found, err := c.LookupApp(context.Background(), id)
		if err != nil {
			return false, err.Error()
		}
		app = found
		if slices.Contains(states, app.State) {
			return true, ""
		}
		if app.Ended() {
			t.Fatalf("wait for state %s: %v", strings.Join(states, " or "), app)
		}
		return false, app.String()
	})
	return app
}

// AwaitEnd waits until an application has ended, in whatever way, and returns its report.
func (c *Cluster) AwaitEnd(t testing.TB, id string, within time.Duration) App {
	t.Helper()
	return c.AwaitState(t, id, within, "FINISHED", "FAILED", "KILLED")
}

// KillApp kills an application and waits until YARN says so; one that has ended or never was is left alone.
func (c *Cluster) KillApp(t testing.TB, id string) {
	t.Helper()
	target := c.REST + "/ws/v1/cluster/apps/" + url.PathEscape(id) + "/state"
	Await(t, 30*time.Second, "kill "+id, func() (bool, string) {
		app, err := c.LookupApp(context.Background(), id)
		if status := (*StatusError)(nil); errors.As(err, &status) && status.Status == http.StatusNotFound || app.Ended() {
			return true, ""
		}
		if err == nil {
			_, err = c.do(context.Background(), http.MethodPut, target, "application/json", strings.NewReader(`{"state":"KILLED"}`))
		}
		return false, fmt.Sprintf("%v (%v)", app, err)
	})
}

// Nodes returns the state of each NodeManager (RUNNING, UNHEALTHY, LOST, …) by host name.
func (c *Cluster) Nodes(ctx context.Context) (map[string]string, error) {
	var answer struct {
		Nodes struct {
			Node []struct {
				Host  string `json:"nodeHostName"`
				State string `json:"state"`
			} `json:"node"`
		} `json:"nodes"`
	}
	// Without the parameter only nodes that can be used are listed.
	err := c.getJSON(ctx, c.REST+"/ws/v1/cluster/nodes?states=new,running,unhealthy,decommissioned,lost,rebooted,shutdown", &answer)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, node := range answer.Nodes.Node {
		// A restarted NodeManager may be listed twice: as it was, and as it is.
		if states[node.Host] != "RUNNING" {
			states[node.Host] = node.State
		}
	}
	return states, nil
}
