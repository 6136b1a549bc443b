package webservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weftstream/weft/hadoop/records"
)

// State is the state of an application, in YARN's words.
type State string

// The states in the order in which they are passed.
const (
	StateNew       State = "NEW"
	StateNewSaving State = "NEW_SAVING"
	StateSubmitted State = "SUBMITTED"
	StateAccepted  State = "ACCEPTED" // waits for its application master
	StateRunning   State = "RUNNING"  // the application master has registered
	StateFinished  State = "FINISHED"
	StateFailed    State = "FAILED"
	StateKilled    State = "KILLED"
)

// Ended reports whether the state is final.
func (s State) Ended() bool {
	return s == StateFinished || s == StateFailed || s == StateKilled
}

// Application is YARN's report on an application.
type Application struct {
	ID          string `json:"id"`
	User        string `json:"user"`
	Name        string `json:"name"`
	Queue       string `json:"queue"`
	Type        string `json:"applicationType"`
	State       State  `json:"state"`
	FinalStatus string `json:"finalStatus"`
	// Diagnostics says why the application waits, or how it ended.
	Diagnostics string `json:"diagnostics"`
	// TrackingURL leads through YARN's proxy.
	TrackingURL string  `json:"trackingUrl"`
	Progress    float64 `json:"progress"`
	// AMRPCAddress is host:port of the last registration, which is the REST
	// endpoint of a Flink or Weft cluster. Empty while there is none.
	AMRPCAddress      string `json:"amRPCAddress"`
	AMHostHTTPAddress string `json:"amHostHttpAddress"`
	AMContainerLogs   string `json:"amContainerLogs"`
	// Tags as YARN shows them, comma-separated and in lower case.
	Tags              string `json:"applicationTags"`
	StartedTime       int64  `json:"startedTime"`  // ms since the epoch
	FinishedTime      int64  `json:"finishedTime"` // ms since the epoch, 0 while it runs
	AllocatedMB       int64  `json:"allocatedMB"`
	AllocatedVCores   int64  `json:"allocatedVCores"`
	RunningContainers int    `json:"runningContainers"`
}

// AMAddress splits AMRPCAddress. ok is false while there is none: YARN writes
// N/A:-1 then.
func (a Application) AMAddress() (host string, port int, ok bool) {
	i := strings.LastIndexByte(a.AMRPCAddress, ':')
	if i <= 0 {
		return "", 0, false
	}
	port, err := strconv.Atoi(a.AMRPCAddress[i+1:])
	host = a.AMRPCAddress[:i]
	return host, port, err == nil && port > 0 && host != "N/A"
}

// NewApplication is a fresh application id with the cluster's limits.
type NewApplication struct {
	ID records.ApplicationID
	// Maximum is the largest container that the cluster grants.
	Maximum records.Resource
}

// resource is how REST writes resources.
type resource struct {
	Memory    int64 `json:"memory"`
	VCores    int32 `json:"vCores"`
	Resources struct {
		Info List[resourceInformation] `json:"resourceInformation"`
	} `json:"resourceInformations"`
}

type resourceInformation struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

func (r resource) record() records.Resource {
	out := records.Resource{MemoryMB: r.Memory, VCores: r.VCores}
	for _, i := range r.Resources.Info {
		if i.Name != "memory-mb" && i.Name != "vcores" && i.Value != 0 {
			if out.Extra == nil {
				out.Extra = make(map[string]int64)
			}
			out.Extra[i.Name] = i.Value
		}
	}
	return out
}

// NewApplication asks for an application id. An id that is never submitted is
// forgotten, so the call may be repeated.
func (c *Client) NewApplication(ctx context.Context) (NewApplication, error) {
	var reply struct {
		ID      string   `json:"application-id"`
		Maximum resource `json:"maximum-resource-capability"`
	}
	err := c.repeatable(ctx, http.MethodPost, "/apps/new-application", nil, []byte("{}"), &reply)
	if err != nil {
		return NewApplication{}, fmt.Errorf("get a new application id: %w", err)
	}
	id, err := records.ParseApplicationID(reply.ID)
	if err != nil {
		return NewApplication{}, fmt.Errorf("get a new application id: %w", err)
	}
	return NewApplication{ID: id, Maximum: reply.Maximum.record()}, nil
}

// Application returns the report on one application, or ErrNotFound.
func (c *Client) Application(ctx context.Context, id records.ApplicationID) (Application, error) {
	var reply struct {
		App Application `json:"app"`
	}
	if err := c.get(ctx, "/apps/"+id.String(), nil, &reply); err != nil {
		return Application{}, fmt.Errorf("get the report of %s: %w", id, err)
	}
	return reply.App, nil
}

// Query selects applications; empty fields select all.
type Query struct {
	States []State
	Types  []string
	Tags   []string
	User   string
	Queue  string
	Limit  int
}

func (q Query) values() url.Values {
	v := url.Values{}
	// The requests of every application are most of the reply and not read.
	v.Set("deSelects", "resourceRequests")
	var states []string
	for _, s := range q.States {
		states = append(states, string(s))
	}
	for name, parts := range map[string][]string{
		"states": states, "applicationTypes": q.Types, "applicationTags": q.Tags,
	} {
		if len(parts) > 0 {
			v.Set(name, strings.Join(parts, ","))
		}
	}
	if q.User != "" {
		v.Set("user", q.User)
	}
	if q.Queue != "" {
		v.Set("queue", q.Queue)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Applications lists applications.
func (c *Client) Applications(ctx context.Context, q Query) ([]Application, error) {
	var reply struct {
		Apps struct {
			App List[Application] `json:"app"`
		} `json:"apps"`
	}
	if err := c.get(ctx, "/apps", q.values(), &reply); err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	return reply.Apps.App, nil
}

// Attempt is one attempt of an application.
type Attempt struct {
	ID               int    `json:"id"`
	AppAttemptID     string `json:"appAttemptId"`
	StartTime        int64  `json:"startTime"`
	ContainerID      string `json:"containerId"`
	NodeID           string `json:"nodeId"`
	NodeHTTPAddress  string `json:"nodeHttpAddress"`
	LogsLink         string `json:"logsLink"`
	BlacklistedNodes string `json:"blacklistedNodes"`
	FinishedTime     int64  `json:"finishedTime"`
	Diagnostics      string `json:"diagnosticsInfo"`
}

// Attempts lists the attempts of an application, oldest first.
func (c *Client) Attempts(ctx context.Context, id records.ApplicationID) ([]Attempt, error) {
	var reply struct {
		Attempts struct {
			Attempt List[Attempt] `json:"appAttempt"`
		} `json:"appAttempts"`
	}
	if err := c.get(ctx, "/apps/"+id.String()+"/appattempts", nil, &reply); err != nil {
		return nil, fmt.Errorf("list the attempts of %s: %w", id, err)
	}
	return reply.Attempts.Attempt, nil
}

// Kill ends an application and returns when YARN says that it is killed, or
// had ended by itself; ErrNotFound if there is none. It repeats until ctx ends.
func (c *Client) Kill(ctx context.Context, id records.ApplicationID) error {
	body, err := json.Marshal(map[string]State{"state": StateKilled})
	if err != nil {
		return fmt.Errorf("kill %s: %w", id, err)
	}
	path := "/apps/" + id.String() + "/state"
	for {
		var reply struct {
			State State `json:"state"`
		}
		err := c.repeatable(ctx, http.MethodPut, path, nil, body, &reply)
		if err == nil && reply.State.Ended() {
			return nil
		}
		if err != nil && c.hasEnded(ctx, id, err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("kill %s: %w", id, err)
		}
		if err := c.pause(ctx); err != nil {
			return fmt.Errorf("kill %s: wait for state KILLED, last state %s: %w", id, reply.State, err)
		}
	}
}

// hasEnded reports whether the refusal of a kill is due to the application's
// having ended meanwhile.
func (c *Client) hasEnded(ctx context.Context, id records.ApplicationID, err error) bool {
	var re *RemoteError
	if !errors.As(err, &re) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrForbidden) || errors.Is(err, ErrStandby) {
		return false
	}
	app, err := c.Application(ctx, id)
	return err == nil && app.State.Ended()
}

func (c *Client) pause(ctx context.Context) error {
	t := time.NewTimer(c.cfg.PollInterval)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
