package standalone

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/entrypoint"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/link/linkpb"
)

// buildApp builds the application of package yarn's tests.
func buildApp(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	cmd := exec.Command("go", "build", "-o", path, "../yarn/testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the application: %v\n%s", err, out)
	}
	return path
}

// TestCachedFiles: two jobs of a session have files of the client's, each those that were there when it was submitted, and
// nothing of them stays with the TaskManager.
func TestCachedFiles(t *testing.T) {
	ports, dir := freePorts(t), t.TempDir()
	temp := filepath.Join(dir, "tmp")
	c := configuration(t, "jobmanager.rpc.port", ports[0], "rest.port", ports[1], "io.tmp.dirs", temp, "env.log.dir", dir+"/log",
		"execution.attached", "true", "pipeline.cached-files", "name:given,path:"+dir+"/given")
	jm := startJobManager(t, c)
	p, err := OpenTaskManager(t.Context(), c, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tm := start(t, func(ctx context.Context) (int, error) { return entrypoint.RunTaskManager(ctx, p) })
	awaitTaskManagers(t, c, 1)

	app := buildApp(t)
	d, err := Provider{}.Descriptor(c, client.Environment{Getenv: noEnv})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cluster, err := d.Retrieve(t.Context(), "localhost:"+ports[1])
	if err != nil {
		t.Fatal(err)
	}
	rest, err := client.New(cluster.Endpoint, cluster.Token, client.WithConfiguration(c))
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Close()
	for _, content := range []string{"first", "second"} {
		if err := os.WriteFile(dir+"/given", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := executor.NewSession(rest, app, executor.Options{Conf: c})
		code, err := executor.RunDriver(t.Context(), executor.DriverSpec{Executable: app, Args: []string{"cached", "", "given"}}, s, nil)
		if err != nil || code != 0 || s.Jobs()[0].Result.GetStatus() != linkpb.JobStatus_FINISHED {
			t.Fatalf("the driver ended with %d, %v: %+v", code, err, s.Jobs())
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	copies := filepath.Join(p.TempDir(), "cached-files", "*")
	for end := time.Now().Add(30 * time.Second); ; <-time.After(time.Millisecond) {
		left, err := filepath.Glob(copies)
		if err == nil && len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %v, %v", left, err)
		}
	}
	tm.end(t, "the TaskManager")
	jm.end(t, "the JobManager")
	var texts strings.Builder
	for _, path := range logFiles(t, conf.Get(c, conf.EnvLogDir)) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts.Write(b)
	}
	for _, want := range []string{"given=given -r-------- first.", "given=given -r-------- second."} {
		if n := strings.Count(texts.String(), want); n != 4 {
			t.Errorf("%q was found by %d records, want 4, in\n%s", want, n, texts.String())
		}
	}
}

// logFiles are what task hosts wrote to standard output.
func logFiles(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "taskhost-*.out"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
