package webservice

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
)

// LogAggregation selects the files that are aggregated, by regular expression.
type LogAggregation struct {
	// Include and Exclude apply when the application has ended.
	Include, Exclude string
	// RolledInclude and RolledExclude apply while it runs.
	RolledInclude, RolledExclude string
}

// Submission describes an application to start.
type Submission struct {
	ID   records.ApplicationID
	Name string
	// Type is shown in lists, such as Weft.
	Type string
	// Queue to submit to. Empty is YARN's default queue.
	Queue string
	// Priority of the application; -1 leaves it to the cluster.
	Priority int
	// Resource of the application master. REST takes memory and vcores only.
	Resource records.Resource
	// Launch is the application master's container.
	Launch records.LaunchContext
	Tags   []string
	// MaxAttempts is capped by yarn.resourcemanager.am.max-attempts. 0 is that
	// value.
	MaxAttempts int
	// KeepContainers leaves the other containers running when the application
	// master fails and an attempt is left.
	KeepContainers bool
	// AttemptFailuresValidity forgets failed attempts that are older. 0 never
	// does.
	AttemptFailuresValidity time.Duration
	// NodeLabel applies to all containers, AMNodeLabel to the application
	// master's.
	NodeLabel, AMNodeLabel string
	// LogAggregation may be nil for the cluster's defaults.
	LogAggregation *LogAggregation
}

type entry[T any] struct {
	Key   string `json:"key"`
	Value T      `json:"value"`
}

// entries is how JAXB writes a map.
type entries[T any] struct {
	Entry []entry[T] `json:"entry"`
}

func toEntries[K ~string, V, T any](m map[K]V, convert func(V) T) *entries[T] {
	if len(m) == 0 {
		return nil
	}
	out := &entries[T]{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out.Entry = append(out.Entry, entry[T]{Key: string(k), Value: convert(m[k])})
	}
	return out
}

type localResourceJSON struct {
	Resource   string `json:"resource"`
	Type       string `json:"type"`
	Visibility string `json:"visibility"`
	Size       int64  `json:"size"`
	Timestamp  int64  `json:"timestamp"`
}

type credentialsJSON struct {
	Tokens  *entries[string] `json:"tokens,omitempty"`
	Secrets *entries[string] `json:"secrets,omitempty"`
}

type commandsJSON struct {
	Command string `json:"command"`
}

type containerSpecJSON struct {
	LocalResources *entries[localResourceJSON] `json:"local-resources,omitempty"`
	Environment    *entries[string]            `json:"environment,omitempty"`
	Commands       commandsJSON                `json:"commands"`
	ServiceData    *entries[string]            `json:"service-data,omitempty"`
	Credentials    *credentialsJSON            `json:"credentials,omitempty"`
	ACLs           *entries[string]            `json:"application-acls,omitempty"`
}

type resourceJSON struct {
	Memory int64 `json:"memory"`
	VCores int32 `json:"vCores"`
}

type logAggregationJSON struct {
	Include       string `json:"log-include-pattern,omitempty"`
	Exclude       string `json:"log-exclude-pattern,omitempty"`
	RolledInclude string `json:"rolled-log-include-pattern,omitempty"`
	RolledExclude string `json:"rolled-log-exclude-pattern,omitempty"`
}

type tagsJSON struct {
	Tag []string `json:"tag"`
}

type submissionJSON struct {
	ID              string              `json:"application-id"`
	Name            string              `json:"application-name"`
	Type            string              `json:"application-type"`
	Queue           string              `json:"queue,omitempty"`
	Priority        *int                `json:"priority,omitempty"`
	Container       containerSpecJSON   `json:"am-container-spec"`
	UnmanagedAM     bool                `json:"unmanaged-AM"`
	MaxAttempts     int                 `json:"max-app-attempts,omitempty"`
	Resource        resourceJSON        `json:"resource"`
	Tags            *tagsJSON           `json:"application-tags,omitempty"`
	KeepContainers  bool                `json:"keep-containers-across-application-attempts"`
	FailureValidity int64               `json:"attempt-failures-validity-interval"`
	NodeLabel       string              `json:"app-node-label-expression,omitempty"`
	AMNodeLabel     string              `json:"am-container-node-label-expression,omitempty"`
	LogAggregation  *logAggregationJSON `json:"log-aggregation-context,omitempty"`
}

func (s Submission) json() submissionJSON {
	out := submissionJSON{
		ID: s.ID.String(), Name: s.Name, Type: s.Type, Queue: s.Queue,
		Container:       containerSpec(s.Launch),
		MaxAttempts:     s.MaxAttempts,
		Resource:        resourceJSON{Memory: s.Resource.MemoryMB, VCores: s.Resource.VCores},
		KeepContainers:  s.KeepContainers,
		FailureValidity: -1, // counts all failures
		NodeLabel:       s.NodeLabel,
		AMNodeLabel:     s.AMNodeLabel,
	}
	if s.Priority >= 0 {
		out.Priority = &s.Priority
	}
	if s.AttemptFailuresValidity > 0 {
		out.FailureValidity = s.AttemptFailuresValidity.Milliseconds()
	}
	if len(s.Tags) > 0 {
		out.Tags = &tagsJSON{Tag: s.Tags}
	}
	if l := s.LogAggregation; l != nil {
		out.LogAggregation = &logAggregationJSON{l.Include, l.Exclude, l.RolledInclude, l.RolledExclude}
	}
	return out
}

func containerSpec(l records.LaunchContext) containerSpecJSON {
	same := func(s string) string { return s }
	encode := func(b []byte) string { return base64.URLEncoding.EncodeToString(b) }
	out := containerSpecJSON{
		LocalResources: toEntries(l.LocalResources, func(r records.LocalResource) localResourceJSON {
			return localResourceJSON{
				Resource: r.URL, Type: string(r.Type), Visibility: string(r.Visibility),
				Size: r.Size, Timestamp: r.Timestamp,
			}
		}),
		Environment: toEntries(l.Environment, same),
		Commands:    commandsJSON{Command: l.Command},
		ServiceData: toEntries(l.ServiceData, encode),
		ACLs:        toEntries(l.ACLs, same),
	}
	if c := l.Credentials; c != nil && len(c.Tokens)+len(c.Secrets) > 0 {
		out.Credentials = &credentialsJSON{
			Tokens:  toEntries(c.Tokens, hadoop.Token.EncodeURL),
			Secrets: toEntries(c.Secrets, encode),
		}
	}
	return out
}

// Submit starts an application and returns once YARN has taken it. That is no
// promise that it will run: a wrong queue or file shows up in the report, as
// state FAILED with diagnostics.
//
// If the reply is lost, Submit asks YARN whether it knows the application and
// sends it again, under the same id, only if not. It goes on until YARN has
// answered or ctx ends; in the latter case the application may exist.
func (c *Client) Submit(ctx context.Context, s Submission) error {
	body, err := json.Marshal(s.json())
	if err != nil {
		return fmt.Errorf("submit %s: %w", s.ID, err)
	}
	for {
		address := c.base().Host
		_, err := c.once(ctx, http.MethodPost, "/apps", body, nil)
		if err == nil {
			return nil
		}
		arrived, err := c.judge(ctx, s.ID, err)
		if arrived || err != nil {
			return err
		}
		c.nextAddress(address)
		if err := c.pause(ctx); err != nil {
			return fmt.Errorf("submit %s: %w", s.ID, err)
		}
	}
}

// judge decides on a submission that failed with cause. It returns an error to
// give up with, or whether the application has arrived; if neither, the
// submission must be sent again.
func (c *Client) judge(ctx context.Context, id records.ApplicationID, cause error) (arrived bool, err error) {
	var re *RemoteError
	switch {
	case ctx.Err() != nil:
		return false, fmt.Errorf("submit %s: %w", id, cause)
	case errors.Is(cause, ErrStandby) || neverSent(cause):
		return false, nil
	case errors.As(cause, &re) && !unsettled(re):
		return false, fmt.Errorf("submit %s: %w", id, cause)
	}
	_, err = c.Application(ctx, id)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrNotFound) && re != nil:
		// YARN had an answer, and the application is not there: that is final.
		return false, fmt.Errorf("submit %s: %w", id, cause)
	case errors.Is(err, ErrNotFound):
		return false, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("submit %s: the reply was lost (%w), and then the search for it failed: %w", id, cause, err)
	}
	return false, fmt.Errorf("submit %s: the reply was lost (%w) and YARN can't be asked whether the application exists: %w", id, cause, err)
}

// unsettled reports whether an answer leaves open if the application exists:
// a gateway's error, or YARN's complaint about a duplicate of what an earlier
// try has submitted.
func unsettled(e *RemoteError) bool {
	return e.Status >= 500 || strings.Contains(e.Message, "already present")
}

// neverSent reports whether the connection could not be opened at all.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
