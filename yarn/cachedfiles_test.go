package yarn_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
)

// testCachedFiles: files of the client's machine, and in application mode of the driver's, are with the tasks in every mode,
// and staging keeps nothing of them but its cache.
func testCachedFiles(t *testing.T, w *world) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	own := put("own.txt", "of the program", 0o644)
	put("tree/sub/deep.txt", "deep", 0o644)
	app := appPath(t)
	pairs := map[string]string{"execution.attached": "true", "parallelism.default": "2",
		"pipeline.cached-files": "name:given,path:'file://" + put("given.sh", "given", 0o644) + "',executable:true;name:tree,path:tree"}
	t.Chdir(dir) // where containers aren't: the client has to look
	args := []string{"cached", own, "own", "given", "tree"}
	check := func(t *testing.T, id string) {
		t.Helper()
		texts := strings.Builder{}
		for path, text := range w.logs(t, id) {
			if strings.HasSuffix(path, ".out") {
				texts.WriteString(text)
			}
		}
		for _, want := range []string{"own=own.txt -r-------- of the program.", "given=given.sh -r-x------ given.", "tree=tree/sub/deep.txt -r-------- deep."} {
			if n := strings.Count(texts.String(), want); n != 4 {
				t.Errorf("%q was found by %d records, want 4, in\n%s", want, n, texts.String())
			}
		}
	}
	c, err := conf.FromMap(pairs)
	if err != nil {
		t.Fatal(err)
	}
	here := func(s executor.Options) executor.Options { s.Conf = c; return s }

	t.Run("application", func(t *testing.T) {
		d, _ := w.descriptor(t, pairs)
		for range 2 {
			before := w.files(t)
			id, _ := deployApplication(t, d, args...)
			if r := awaitEnd(t, d, id); r.State != client.Succeeded {
				t.Errorf("report %+v, want SUCCEEDED", r)
			}
			check(t, id)
			w.gone(t, id)
			if after := w.files(t); slices.ContainsFunc(after, func(f string) bool {
				return !slices.Contains(before, f) && !strings.HasPrefix(f, "cache")
			}) {
				t.Errorf("staging changed from\n%q to\n%q", before, after)
			}
		}
	})
	t.Run("per-job", func(t *testing.T) {
		d, _ := w.descriptor(t, pairs)
		id := ""
		p := executor.NewPerJob(func(ctx context.Context, g *graph.JobGraph) (*client.Client, error) {
			c, err := d.DeployPerJob(ctx, g, client.Application{Path: app})
			if err != nil {
				return nil, err
			}
			id = c.ID
			return client.New(c.Endpoint, c.Token)
		}, app, here(executor.Options{}))
		drive(t, p, func() (int, error) {
			return executor.RunDriver(within(t), executor.DriverSpec{Executable: app, Args: args}, p, nil)
		})
		if r := awaitEnd(t, d, id); r.State != client.Succeeded {
			t.Errorf("report %+v, want SUCCEEDED", r)
		}
		check(t, id)
		w.gone(t, id)
	})
	t.Run("session", func(t *testing.T) {
		d, _ := w.descriptor(t, nil)
		cluster, err := d.DeploySession(within(t))
		if err != nil {
			t.Fatal(err)
		}
		cl := connect(t, cluster)
		s := executor.NewSession(cl, app, here(executor.Options{}))
		drive(t, s, func() (int, error) {
			return executor.RunDriver(within(t), executor.DriverSpec{Executable: app, Args: args}, s, nil)
		})
		if err := cl.Shutdown(within(t)); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, d, cluster.ID)
		check(t, cluster.ID)
		w.gone(t, cluster.ID)
	})
}
