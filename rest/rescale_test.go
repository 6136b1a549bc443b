package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/operator"
	"github.com/weftstream/weft/rest/resttest"
	"github.com/weftstream/weft/runtime/dispatcher"
	"github.com/weftstream/weft/runtime/jobmaster"
)

func TestResourceRequirements(t *testing.T) {
	c := resttest.Start(t, nil)
	id, vertex := graph.NewJobID(), operator.ID{0xab}
	c.Jobs.Add(dispatcher.JobDetails{JobSummary: dispatcher.JobSummary{ID: id, Name: "x", Status: linkpb.JobStatus_RUNNING, End: -1},
		Vertices: []jobmaster.VertexDetails{{ID: vertex, Parallelism: 2}}})
	url := c.Direct + "/jobs/" + id.String() + "/resource-requirements"
	want := func(lower, upper int) {
		t.Helper()
		code, body, _ := do(t, http.MethodGet, url, nil)
		var got map[string]map[string]map[string]int
		if err := json.Unmarshal(body, &got); code != 200 || err != nil {
			t.Fatalf("%d %s", code, body)
		}
		p := got[vertex.String()]["parallelism"]
		if len(got) != 1 || len(p) != 2 || p["lowerBound"] != lower || p["upperBound"] != upper {
			t.Errorf("requirements %s, want %d to %d", body, lower, upper)
		}
	}
	put := func(text string) (int, string) {
		code, body, _ := do(t, http.MethodPut, url, strings.NewReader(text))
		return code, string(body)
	}
	one := func(id any, lower, upper int) string {
		return fmt.Sprintf(`{"%s":{"parallelism":{"lowerBound":%d,"upperBound":%d}}}`, id, lower, upper)
	}
	want(2, 2)
	if code, body := put(one(vertex, 1, 5)); code != 200 || strings.TrimSpace(body) != "{}" {
		t.Errorf("put: %d %s", code, body)
	}
	want(1, 5)
	for text, reason := range map[string]string{
		one(vertex, 3, 2):            "3 to 2",
		one(operator.ID{1}, 1, 1):    "vertex 01",
		one("not-a-vertex", 1, 1):    "id of a vertex",
		`{"` + vertex.String() + `"`: "JSON",
	} {
		if code, body := put(text); code != 400 || !strings.Contains(body, reason) {
			t.Errorf("put %s: %d %s; want 400 with %q", text, code, body, reason)
		}
	}
	want(1, 5)
	if code, _, _ := do(t, http.MethodGet, strings.Replace(url, id.String(), graph.NewJobID().String(), 1), nil); code != 404 {
		t.Errorf("an unknown job: %d", code)
	}
	if code, body, _ := do(t, http.MethodPatch, strings.Replace(url, "resource-requirements", "rescaling?parallelism=3", 1), nil); code != 503 {
		t.Errorf("the endpoint that Flink has switched off: %d %s", code, body)
	}
	c.Jobs.Finish(id, &linkpb.JobResult{Status: linkpb.JobStatus_FINISHED})
	if code, body := put(one(vertex, 1, 5)); code != 409 {
		t.Errorf("a job that has ended: %d %s", code, body)
	}
}
