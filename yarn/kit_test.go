package yarn_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/entrypoint"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/yarn"
)

// The test binary is the weft executable of the clusters that the tests deploy.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "entrypoint" {
		os.Exit(process(os.Args[2]))
	}
	dir, err := os.MkdirTemp("", "weft-yarn-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// buildDir is where the tests' application is built; TestMain sets it before any test runs.
var buildDir string

func process(kind string) int {
	code, err := run(kind)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

func run(kind string) (int, error) {
	if kind == "yarn-taskmanager" {
		p, err := yarn.OpenTaskManager(os.Getenv)
		if err != nil {
			return entrypoint.ExitTaskManagerStartup, err
		}
		defer p.Close()
		return entrypoint.RunTaskManager(context.Background(), p)
	}
	p, err := yarn.OpenJobManager(os.Getenv)
	if err != nil {
		return entrypoint.ExitStartup, err
	}
	defer p.Close()
	return entrypoint.RunJobManager(context.Background(), p)
}

// world is a YARN cluster that the suite deploys to.
type world struct {
	confDir string
	user    string
	staging string // what yarn.staging-directory is set to
	// files lists all files and directories in staging, relative to it.
	files func(t *testing.T) []string
	// logs are the log files of an application's containers, by path.
	logs func(t *testing.T, id string) map[string]string
	// processes lists what still runs of an application.
	processes func(t *testing.T, id string) []string
}

var buildApp = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "app")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the test's application: %w\n%s", err, out)
	}
	return path, nil
})

func appPath(t *testing.T) string {
	t.Helper()
	path, err := buildApp()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// descriptor makes a Descriptor with small containers; pairs are set above that.
func (w *world) descriptor(t *testing.T, pairs map[string]string) (*yarn.Descriptor, *logBuffer) {
	t.Helper()
	all := map[string]string{
		"yarn.staging-directory":                    w.staging,
		"jobmanager.memory.process.size":            "256m",
		"taskmanager.memory.process.size":           "256m",
		"yarn.heartbeat.container-request-interval": "50ms",
	}
	for k, v := range pairs {
		all[k] = v
	}
	c, err := conf.FromMap(all)
	if err != nil {
		t.Fatal(err)
	}
	weft, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	d, err := yarn.NewDescriptor(c, client.Environment{
		Getenv: func(name string) string {
			return map[string]string{"HADOOP_CONF_DIR": w.confDir, "HADOOP_USER_NAME": w.user}[name]
		},
		Log: slog.New(slog.NewTextHandler(log, nil)), Weft: weft, User: w.user, Terminal: true, Err: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the client's log:\n%s", log)
		}
	})
	return d, log
}

// logBuffer collects a log. It is safe for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// within is a context with the deadline of everything here.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// awaitEnd waits for the end of an application and returns the last report.
func awaitEnd(t *testing.T, d *yarn.Descriptor, id string) client.Report {
	t.Helper()
	var r client.Report
	testkit.Eventually(t, id+" ends", func() bool {
		var err error
		if r, err = d.Report(within(t), id); err != nil {
			t.Fatal(err)
		}
		return r.State.Ended()
	})
	return r
}

// gone checks that nothing of an application is left.
func (w *world) gone(t *testing.T, id string) {
	t.Helper()
	testkit.Eventually(t, "the staging directory of "+id+" is removed", func() bool {
		return !slices.ContainsFunc(w.files(t), func(f string) bool { return strings.HasPrefix(f, id) })
	})
	testkit.Eventually(t, "the processes of "+id+" end", func() bool { return len(w.processes(t, id)) == 0 })
}

// writeSite writes the client configuration of a cluster.
func writeSite(t *testing.T, s *hadoop.Site) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Create(filepath.Join(dir, "core-site.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := s.WriteXML(f); err != nil {
		t.Fatal(err)
	}
	return dir
}
