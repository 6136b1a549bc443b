//go:build hadoop

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/soak"
	"github.com/weftstream/weft/internal/usertest"
)

// endpoint is the REST endpoint of an application that asks for no token; "" while there is none, as between two JobManagers.
func (u *user) endpoint(id string) string {
	u.T.Helper()
	if address := u.Cluster.App(u.T, id).AMAddress; address != "" {
		return "http://" + address
	}
	return ""
}

// call asks a JobManager, and says whether it has answered with 200.
func (u *user) call(id, method, path string, body []byte, answer any) (ok bool, text string) {
	u.T.Helper()
	base := u.endpoint(id)
	if base == "" {
		return false, "there is no endpoint"
	}
	q, err := http.NewRequestWithContext(u.T.Context(), method, base+path, bytes.NewReader(body))
	if err != nil {
		u.T.Fatal(err)
	}
	client := http.Client{Timeout: 10 * time.Second}
	r, err := client.Do(q)
	if err != nil {
		return false, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		return false, fmt.Sprintf("%s %s: %s: %s %v", method, path, r.Status, b, err)
	}
	if answer != nil {
		err = json.Unmarshal(b, answer)
	}
	return err == nil, string(b)
}

// parallelisms are those of a job's vertices, by id, and whether all of its tasks run or have ended.
func (u *user) parallelisms(id, job string) (all map[string]int, running bool, text string) {
	u.T.Helper()
	var d struct {
		State    string `json:"state"`
		Vertices []struct {
			ID          string         `json:"id"`
			Parallelism int            `json:"parallelism"`
			Tasks       map[string]int `json:"tasks"`
		} `json:"vertices"`
	}
	ok, text := u.call(id, http.MethodGet, "/jobs/"+job, nil, &d)
	all, running = map[string]int{}, ok && d.State == "RUNNING"
	for _, v := range d.Vertices {
		all[v.ID] = v.Parallelism
		running = running && v.Tasks["RUNNING"]+v.Tasks["FINISHED"] == v.Parallelism
	}
	return all, running && len(all) > 0, text
}

// rescale asks for a parallelism, and waits until the job runs with it.
func (u *user) rescale(id, job string, parallelism int) {
	u.T.Helper()
	what := fmt.Sprintf("the job is rescaled to %d", parallelism)
	hadooptest.Await(u.T, usertest.Patience, what+": asked for", func() (bool, string) {
		vertices, running, text := u.parallelisms(id, job)
		if !running {
			return false, text
		}
		bounds := map[string]map[string]map[string]int{}
		for v := range vertices {
			bounds[v] = map[string]map[string]int{"parallelism": {"lowerBound": parallelism, "upperBound": parallelism}}
		}
		body, err := json.Marshal(bounds)
		if err != nil {
			u.T.Fatal(err)
		}
		return u.call(id, http.MethodPut, "/jobs/"+job+"/resource-requirements", body, nil)
	})
	hadooptest.Await(u.T, usertest.Patience, what, func() (bool, string) {
		vertices, running, text := u.parallelisms(id, job)
		for _, p := range vertices {
			running = running && p == parallelism
		}
		return running, text
	})
}

// TestRescale: an application is rescaled over REST, up and down, and its processes are killed in between; YARN gives it the
// containers that it needs and gets back those that it doesn't, and every record is in the output once.
func TestRescale(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	random := soak.Dice(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	const events, keys = 30_000, 100
	options := append([]string{"-p", "2", "-Dtaskmanager.numberOfTaskSlots=1", "-Dsecurity.rest.authentication=none",
		"-Dresourcemanager.taskmanager-timeout=2 s"}, restarting(c, dir)...)
	w := u.submit(options, usertest.App(t, "counts"), "--events", strconv.Itoa(events), "--keys", strconv.Itoa(keys), "--rate", "300",
		"--output", c.URI(dir+"/out"))
	id := w.App()
	job := running(w)
	for _, p := range []int{4, 1, 3} {
		u.rescale(id, job, p)
		hadooptest.Await(t, usertest.Patience, fmt.Sprintf("%d containers", p+1), func() (bool, string) {
			n := c.App(t, id).Containers
			return n == p+1, fmt.Sprintf("%d containers", n)
		})
		role := []string{usertest.TaskHost, usertest.TaskManager, usertest.JobManager}[random.IntN(3)]
		if victims := u.Processes(id, role); len(victims) > 0 {
			t.Logf("kill %s", role)
			_ = syscall.Kill(victims[random.IntN(len(victims))].PID, syscall.SIGKILL)
		}
	}
	w.Wait()
	u.YARNSays(id, "SUCCEEDED")
	countsOf(t, c, dir+"/out", events, keys)
	c.AwaitNoProcesses(t, id, time.Minute)
}
