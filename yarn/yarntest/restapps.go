package yarntest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

// entries is how JAXB reads a map.
type entries[T any] struct {
	Entry []struct {
		Key   string `json:"key"`
		Value T      `json:"value"`
	} `json:"entry"`
}

func (e entries[T]) each(fn func(key string, value T)) {
	for _, x := range e.Entry {
		fn(x.Key, x.Value)
	}
}

// submission is the body of POST /apps.
type submission struct {
	ID        string `json:"application-id"`
	Name      string `json:"application-name"`
	Type      string `json:"application-type"`
	Queue     string `json:"queue"`
	Attempts  int    `json:"max-app-attempts"`
	Keep      bool   `json:"keep-containers-across-application-attempts"`
	Container struct {
		LocalResources entries[struct {
			Resource   string `json:"resource"`
			Type       string `json:"type"`
			Visibility string `json:"visibility"`
			Size       int64  `json:"size"`
			Timestamp  int64  `json:"timestamp"`
		}] `json:"local-resources"`
		Environment entries[string] `json:"environment"`
		Commands    struct {
			Command string `json:"command"`
		} `json:"commands"`
		Credentials struct {
			Tokens  entries[string] `json:"tokens"`
			Secrets entries[string] `json:"secrets"`
		} `json:"credentials"`
		ACLs entries[string] `json:"application-acls"`
	} `json:"am-container-spec"`
	Resource struct {
		Memory int64 `json:"memory"`
		VCores int32 `json:"vCores"`
	} `json:"resource"`
	Tags struct {
		Tag []string `json:"tag"`
	} `json:"application-tags"`
}

func (s *submission) launch() (records.LaunchContext, error) {
	spec := &s.Container
	out := records.LaunchContext{
		LocalResources: make(map[string]records.LocalResource), Environment: make(map[string]string),
		ACLs: make(map[records.AccessType]string), Command: spec.Commands.Command,
		Credentials: &hadoop.Credentials{Tokens: make(map[string]hadoop.Token), Secrets: make(map[string][]byte)},
	}
	for _, e := range spec.LocalResources.Entry {
		out.LocalResources[e.Key] = records.LocalResource{
			URL: e.Value.Resource, Size: e.Value.Size, Timestamp: e.Value.Timestamp,
			Type: records.LocalResourceType(e.Value.Type), Visibility: records.Visibility(e.Value.Visibility),
		}
	}
	spec.Environment.each(func(k, v string) { out.Environment[k] = v })
	spec.ACLs.each(func(k, v string) { out.ACLs[records.AccessType(k)] = v })
	var failed error
	spec.Credentials.Tokens.each(func(alias, text string) {
		t, err := hadoop.DecodeTokenURL(text)
		if out.Credentials.Tokens[alias] = t; err != nil {
			failed = err
		}
	})
	spec.Credentials.Secrets.each(func(alias, text string) {
		b, err := base64.URLEncoding.DecodeString(text)
		if out.Credentials.Secrets[alias] = b; err != nil {
			failed = err
		}
	})
	return out, failed
}

func (c *Cluster) postNewApplication(*http.Request, []byte) (int, any) {
	return http.StatusOK, object{
		"application-id":              c.newApplicationID().String(),
		"maximum-resource-capability": resourceJSON(c.cfg.MaxAllocation),
	}
}

// postApp refuses at once what YARN refuses at once; an unknown queue is taken
// and the application fails.
func (c *Cluster) postApp(r *http.Request, body []byte) (int, any) {
	var s submission
	if err := json.Unmarshal(body, &s); err != nil {
		return badRequest("can't read the submission: %s", err)
	}
	id, err := records.ParseApplicationID(s.ID)
	if err != nil {
		return badRequest("Could not parse application id %s", s.ID)
	}
	am := records.Resource{MemoryMB: s.Resource.Memory, VCores: s.Resource.VCores}
	switch {
	case am.MemoryMB > c.cfg.MaxAllocation.MemoryMB:
		return badRequest("Requested more memory than configured max")
	case am.VCores > c.cfg.MaxAllocation.VCores:
		return badRequest("Requested more cores than configured max")
	case c.apps[id] != nil:
		return http.StatusAccepted, nil // as YARN answers a repetition
	}
	launch, err := s.launch()
	if err != nil {
		return badRequest("can't read the credentials: %s", err)
	}
	app := &application{
		id: id, name: s.Name, kind: s.Type, user: r.URL.Query().Get("user.name"), queue: s.Queue, tags: s.Tags.Tag,
		state: webservice.StateAccepted, started: time.Now(), maxAttempts: c.cfg.MaxAttempts, keep: s.Keep,
		amResource: c.normalize(am), launch: launch,
	}
	if app.user == "" {
		app.user = "dr.who"
	}
	if s.Attempts > 0 {
		app.maxAttempts = min(app.maxAttempts, s.Attempts)
	}
	if app.queue == "" {
		app.queue = "default"
	}
	c.apps[id] = app
	c.order = append(c.order, app)
	c.newAttempt(app)
	if q, ok := c.queue(app.queue); ok {
		app.queue = q.Name
	} else {
		c.endApplication(app, webservice.StateFailed, records.FinalFailed, fmt.Sprintf(
			"Application %s submitted by user %s to unknown queue: %s", id, app.user, s.Queue))
	}
	c.notify()
	return http.StatusAccepted, nil
}

func (c *Cluster) find(r *http.Request) (*application, int, any) {
	id, err := records.ParseApplicationID(r.PathValue("id"))
	if err != nil {
		status, doc := badRequest("Could not parse application id %s", r.PathValue("id"))
		return nil, status, doc
	}
	if app := c.apps[id]; app != nil {
		return app, 0, nil
	}
	status, doc := exception(http.StatusNotFound, "org.apache.hadoop.yarn.webapp.NotFoundException",
		fmt.Sprintf("java.lang.Exception: app with id: %s not found", id))
	return nil, status, doc
}

func (c *Cluster) appJSON(app *application) object {
	out := object{
		"id": app.id.String(), "name": app.name, "applicationType": app.kind, "user": app.user, "queue": app.queue,
		"state": app.state, "finalStatus": app.final.String(), "diagnostics": app.diagnostics,
		"trackingUrl":     fmt.Sprintf("http://%s/proxy/%s/", c.rms[c.active].addr, app.id),
		"applicationTags": strings.ToLower(strings.Join(app.tags, ",")), "progress": app.progress * 100,
		"startedTime": app.started.UnixMilli(), "finishedTime": int64(0), "priority": 0,
	}
	if app.state.Ended() {
		out["finishedTime"] = app.finished.UnixMilli()
	}
	running, used := 0, records.Resource{}
	for _, ct := range c.containers {
		if ct.app == app && ct.live() {
			running++
			used = used.Add(ct.resource)
		}
	}
	out["runningContainers"], out["allocatedMB"], out["allocatedVCores"] = running, used.MemoryMB, used.VCores
	if app.attempt.registered {
		out["amRPCAddress"] = fmt.Sprintf("%s:%d", app.attempt.host, app.attempt.rpcPort)
	}
	if m := app.attempt.master; m != nil {
		out["amHostHttpAddress"] = m.node.id.Host + ":8042"
		out["amContainerLogs"] = fmt.Sprintf("http://%s:8042/node/containerlogs/%s/%s", m.node.id.Host, m.id, app.user)
	}
	return out
}

func (c *Cluster) getApp(r *http.Request, _ []byte) (int, any) {
	app, status, doc := c.find(r)
	if app == nil {
		return status, doc
	}
	return http.StatusOK, object{"app": c.appJSON(app)}
}

func (c *Cluster) getApps(r *http.Request, _ []byte) (int, any) {
	q := r.URL.Query()
	var list []object
	for _, app := range c.order {
		tagged := q.Get("applicationTags") == ""
		for _, tag := range app.tags {
			tagged = tagged || oneOf(q.Get("applicationTags"), tag)
		}
		if tagged && oneOf(q.Get("states"), string(app.state)) && oneOf(q.Get("applicationTypes"), app.kind) &&
			oneOf(q.Get("user"), app.user) && oneOf(q.Get("queue"), app.queue) {
			list = append(list, c.appJSON(app))
		}
	}
	if list == nil {
		return http.StatusOK, object{"apps": nil} // as YARN writes an empty list
	}
	return http.StatusOK, object{"apps": object{"app": list}}
}

func (c *Cluster) getAttempts(r *http.Request, _ []byte) (int, any) {
	app, status, doc := c.find(r)
	if app == nil {
		return status, doc
	}
	var list []object
	for _, a := range app.attempts {
		o := object{"id": a.id.Attempt, "appAttemptId": a.id.String(), "startTime": app.started.UnixMilli()}
		if a.master != nil {
			o["containerId"], o["nodeId"] = a.master.id.String(), a.master.node.id.String()
		}
		list = append(list, o)
	}
	return http.StatusOK, object{"appAttempts": object{"appAttempt": list}}
}

func (c *Cluster) getState(r *http.Request, _ []byte) (int, any) {
	app, status, doc := c.find(r)
	if app == nil {
		return status, doc
	}
	return http.StatusOK, object{"state": app.state}
}

// putState kills. The first answer is 202, as in YARN.
func (c *Cluster) putState(r *http.Request, body []byte) (int, any) {
	app, status, doc := c.find(r)
	if app == nil {
		return status, doc
	}
	var want struct {
		State webservice.State `json:"state"`
	}
	if err := json.Unmarshal(body, &want); err != nil || want.State != webservice.StateKilled {
		return badRequest("Only state KILLED can be set")
	}
	if app.state.Ended() {
		return http.StatusOK, object{"state": app.state}
	}
	c.endApplication(app, webservice.StateKilled, records.FinalKilled, fmt.Sprintf(
		"Application %s was killed by user %s", app.id, r.URL.Query().Get("user.name")))
	return http.StatusAccepted, object{"state": "KILLING"}
}
