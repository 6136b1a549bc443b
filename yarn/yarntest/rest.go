package yarntest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/weftstream/weft/hadoop/ipc"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

// apiPath is where the REST interface lives.
const apiPath = "/ws/v1/cluster"

// maxBody bounds a request.
const maxBody = 16 << 20

// object is a JSON object.
type object map[string]any

// webHandler serves the REST interface of ResourceManager i.
func (c *Cluster) webHandler(i int) http.Handler {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*http.Request, []byte) (int, any){
		"GET " + apiPath + "/info":                  c.getInfo,
		"GET " + apiPath + "/metrics":               c.getMetrics,
		"GET " + apiPath + "/scheduler":             c.getScheduler,
		"GET " + apiPath + "/nodes":                 c.getNodes,
		"GET " + apiPath + "/apps":                  c.getApps,
		"POST " + apiPath + "/apps":                 c.postApp,
		"POST " + apiPath + "/apps/new-application": c.postNewApplication,
		"GET " + apiPath + "/apps/{id}":             c.getApp,
		"GET " + apiPath + "/apps/{id}/appattempts": c.getAttempts,
		"GET " + apiPath + "/apps/{id}/state":       c.getState,
		"PUT " + apiPath + "/apps/{id}/state":       c.putState,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.serveHTTP(i, w, r, serve) })
	}
	return mux
}

// serveHTTP passes a request through the interceptors and answers as an active,
// standby or stopped ResourceManager.
func (c *Cluster) serveHTTP(i int, w http.ResponseWriter, r *http.Request, serve func(*http.Request, []byte) (int, any)) {
	c.mu.Lock()
	down, active := c.down, c.active
	c.mu.Unlock()
	if down {
		hangUp(w)
		return
	}
	if i != active {
		w.Header().Set("Location", "http://"+c.rms[active].addr+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
		fmt.Fprintln(w, "This is standby RM. The redirect url is: "+r.URL.Path)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		hangUp(w)
		return
	}
	call := &Call{Method: r.Method + " " + r.URL.Path, Body: body}
	reply, err := c.run(r.Context(), call, func() (*Reply, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		status, doc := serve(r, call.Body)
		var out []byte
		if doc != nil {
			var err error
			if out, err = json.Marshal(doc); err != nil {
				return nil, err
			}
		}
		return &Reply{Status: status, Body: out}, nil
	})
	var remote *ipc.RemoteError
	switch {
	case errors.As(err, &remote):
		status, doc := exception(http.StatusInternalServerError, remote.Class, remote.Message)
		out, _ := json.Marshal(doc) // strings only
		reply = &Reply{Status: status, Body: out}
	case err != nil:
		hangUp(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(reply.Status)
	w.Write(reply.Body)
}

// hangUp breaks the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if nc, _, err := http.NewResponseController(w).Hijack(); err == nil {
		nc.Close()
	}
}

func exception(status int, class, message string) (int, any) {
	short := class[strings.LastIndexByte(class, '.')+1:]
	return status, object{"RemoteException": object{
		"exception": short, "message": message, "javaClassName": class,
	}}
}

func badRequest(format string, args ...any) (int, any) {
	return exception(http.StatusBadRequest, "org.apache.hadoop.yarn.webapp.BadRequestException", fmt.Sprintf(format, args...))
}

func (c *Cluster) getInfo(*http.Request, []byte) (int, any) {
	return http.StatusOK, object{"clusterInfo": object{
		"id": c.timestamp, "startedOn": c.timestamp, "state": "STARTED", "haState": "ACTIVE",
		"hadoopVersion": "3.4.1", "resourceManagerVersion": "3.4.1",
	}}
}

func (c *Cluster) getMetrics(*http.Request, []byte) (int, any) {
	total, free := c.capacity(), c.headroom()
	pending, running, active := 0, 0, 0
	for _, app := range c.order {
		switch app.state {
		case webservice.StateAccepted:
			pending++
		case webservice.StateRunning:
			running++
		}
	}
	for _, n := range c.nodes {
		if n.state == records.NodeRunning {
			active++
		}
	}
	return http.StatusOK, object{"clusterMetrics": object{
		"appsPending": pending, "appsRunning": running, "totalMB": total.MemoryMB, "availableMB": free.MemoryMB,
		"totalVirtualCores": total.VCores, "availableVirtualCores": free.VCores,
		"totalNodes": len(c.nodes), "activeNodes": active, "lostNodes": len(c.nodes) - active,
	}}
}

func resourceJSON(r records.Resource) object {
	return object{"memory": r.MemoryMB, "vCores": r.VCores}
}

func (c *Cluster) getScheduler(*http.Request, []byte) (int, any) {
	var queues []object
	for _, q := range c.cfg.Queues {
		pending, active := 0, 0
		for _, app := range c.order {
			if own, ok := c.queue(app.queue); !ok || own.Name != q.Name || app.state.Ended() {
				continue
			}
			if app.attempt.master == nil && !app.unmanaged {
				pending++
			} else {
				active++
			}
		}
		queues = append(queues, object{
			"type": "capacitySchedulerLeafQueueInfo", "queueName": q.Name, "queuePath": "root." + q.Name,
			"capacity": q.Capacity, "maxCapacity": 100.0, "absoluteCapacity": q.Capacity, "absoluteMaxCapacity": 100.0,
			"state": "RUNNING", "numActiveApplications": active, "numPendingApplications": pending,
			"maxApplications": 10000, "AMResourceLimit": resourceJSON(c.amLimit(q)),
			"usedAMResource": resourceJSON(c.amUsed(q.Name)),
		})
	}
	return http.StatusOK, object{"scheduler": object{"schedulerInfo": object{
		"type": "capacityScheduler", "capacity": 100.0, "queueName": "root", "queues": object{"queue": queues},
	}}}
}

func (c *Cluster) getNodes(r *http.Request, _ []byte) (int, any) {
	states := r.URL.Query().Get("states")
	var list []object
	for _, n := range c.nodes {
		if states == "" && n.state != records.NodeRunning || states != "" && !oneOf(states, n.state.String()) {
			continue
		}
		list = append(list, object{
			"id": n.id.String(), "rack": n.rack, "state": n.state.String(), "nodeHostName": n.id.Host,
			"nodeHTTPAddress": n.id.Host + ":8042", "version": "3.4.1",
			"usedMemoryMB": n.used.MemoryMB, "availMemoryMB": n.available().MemoryMB,
			"usedVirtualCores": n.used.VCores, "availableVirtualCores": n.available().VCores,
		})
	}
	return http.StatusOK, object{"nodes": object{"node": list}}
}

// oneOf reports whether a comma-separated list is empty or has the value.
func oneOf(list, value string) bool {
	if list == "" {
		return true
	}
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(part, value) {
			return true
		}
	}
	return false
}
