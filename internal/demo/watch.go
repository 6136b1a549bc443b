package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"sync"
	"time"
)

// watcher asks YARN, while an application runs, where its containers are.
type watcher struct {
	rest    string
	seen    map[string]string // container id -> node; owned by the goroutine until stop has joined it
	started bool
	done    chan struct{}
	wg      sync.WaitGroup
}

func newWatcher(rest string) *watcher {
	return &watcher{rest: rest, seen: map[string]string{}, done: make(chan struct{})}
}

// start begins to watch the application; later calls do nothing.
func (w *watcher) start(id string) {
	if w.started {
		return
	}
	w.started = true
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		for {
			w.look(id)
			select {
			case <-w.done:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
}

// stop ends the watch and returns a line per container.
func (w *watcher) stop() []string {
	close(w.done)
	w.wg.Wait()
	var out []string
	for id, node := range w.seen {
		role := "TaskManager"
		if len(id) > 6 && id[len(id)-6:] == "000001" {
			role = "JobManager"
		}
		out = append(out, fmt.Sprintf("%s  %-11s  on node %s", id, role, node))
	}
	sort.Strings(out)
	return out
}

func (w *watcher) look(id string) {
	var attempts struct {
		AppAttempts struct {
			AppAttempt []struct {
				AppAttemptID string `json:"appAttemptId"`
			} `json:"appAttempt"`
		} `json:"appAttempts"`
	}
	base := w.rest + "/ws/v1/cluster/apps/" + id + "/appattempts"
	if !get(base, &attempts) {
		return
	}
	for _, a := range attempts.AppAttempts.AppAttempt {
		var containers struct {
			Container []struct {
				ContainerID string `json:"containerId"`
				NodeID      string `json:"nodeId"`
			} `json:"container"`
		}
		if !get(base+"/"+a.AppAttemptID+"/containers", &containers) {
			continue
		}
		for _, c := range containers.Container {
			w.seen[c.ContainerID] = c.NodeID
		}
	}
}

// get reads JSON; what doesn't answer, or answers something else, is asked again later.
func get(url string, into any) bool {
	client := http.Client{Timeout: 2 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	return r.StatusCode == http.StatusOK && json.NewDecoder(r.Body).Decode(into) == nil
}
