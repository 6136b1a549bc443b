package yarn_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/yarn/webservice"
	"github.com/weftstream/weft/yarn/yarntest"
)

// memoryWorld is a YARN cluster in this process, whose containers are real processes, with a local staging directory.
func memoryWorld(t *testing.T, cfg yarntest.Config) (*world, *yarntest.Cluster) {
	t.Helper()
	dir := t.TempDir()
	cfg.Launcher = yarntest.Processes(dir, nil)
	c, err := yarntest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	staging := filepath.Join(t.TempDir(), "staging")
	return &world{
		confDir: writeSite(t, c.Site()), user: u.Username, staging: "file://" + staging,
		files: func(t *testing.T) []string { return walk(t, staging) },
		logs: func(t *testing.T, id string) map[string]string {
			out := map[string]string{}
			root := filepath.Join(dir, "logs", id)
			for _, name := range walk(t, root) {
				if b, err := os.ReadFile(filepath.Join(root, name)); err == nil {
					out[name] = string(b)
				}
			}
			return out
		},
		processes: func(t *testing.T, id string) []string { return processesOf(t, id) },
	}, c
}

// walk lists what is below a directory, which may be missing.
func walk(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if rel, _ := filepath.Rel(root, path); err == nil && rel != "." {
			out = append(out, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// processesOf lists the processes that belong to an application, by their working directory.
func processesOf(t *testing.T, id string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range links {
		if dir, err := os.Readlink(l); err == nil && strings.Contains(dir, id) {
			out = append(out, filepath.Base(filepath.Dir(l)))
		}
	}
	return out
}

func TestMemoryCluster(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	t.Run("suite", func(t *testing.T) {
		w, _ := memoryWorld(t, yarntest.Config{
			Nodes:             []yarntest.NodeConfig{{Host: "127.0.0.1", Rack: "/a"}, {Host: "127.0.0.2", Rack: "/b"}},
			HeartbeatInterval: 20 * time.Millisecond,
		})
		suite(t, w)
	})
}

// TestGiveBack: a deployment that is interrupted while the application waits leaves nothing, and said why it waited.
func TestGiveBack(t *testing.T) {
	w, c := memoryWorld(t, yarntest.Config{}) // no heartbeats: no container is ever granted
	d, log := w.descriptor(t, nil)
	ctx, cancel := context.WithCancelCause(within(t))
	interrupted := errors.New("interrupted")
	done := make(chan error, 1)
	go func() {
		_, err := d.DeploySession(ctx)
		done <- err
	}()
	testkit.Eventually(t, "the wait is explained", func() bool { return strings.Contains(log.String(), "has been waiting for") })
	cancel(interrupted)
	if err := <-done; !errors.Is(err, interrupted) {
		t.Errorf("error %v, want the context's cause", err)
	}
	web, err := webservice.New(webservice.Config{Addresses: c.WebAddresses()})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	apps, err := web.Applications(within(t), webservice.Query{})
	if err != nil || len(apps) != 1 || apps[0].State != webservice.StateKilled {
		t.Errorf("applications %+v, %v: want one that was killed", apps, err)
	}
	for _, f := range w.files(t) {
		if strings.HasPrefix(f, "application_") {
			t.Errorf("%s is left in staging", f)
		}
	}
}

// TestSubmissionRefused: what YARN refuses at the last step leaves nothing either.
func TestSubmissionRefused(t *testing.T) {
	w, c := memoryWorld(t, yarntest.Config{})
	d, _ := w.descriptor(t, nil)
	c.Intercept("POST /ws/v1/cluster/apps", func(context.Context, *yarntest.Call, func() (*yarntest.Reply, error)) (*yarntest.Reply, error) {
		return &yarntest.Reply{Status: 403, Body: []byte(`{"RemoteException":{"exception":"ForbiddenException","message":"no"}}`)}, nil
	})
	_, err := d.DeploySession(within(t))
	if !errors.Is(err, webservice.ErrForbidden) {
		t.Errorf("error %v, want ErrForbidden", err)
	}
	for _, f := range w.files(t) {
		if strings.HasPrefix(f, "application_") {
			t.Errorf("%s is left in staging", f)
		}
	}
}

// TestReactiveRefused: a client says at once what it can't do.
func TestReactiveRefused(t *testing.T) {
	w, _ := memoryWorld(t, yarntest.Config{})
	d, _ := w.descriptor(t, map[string]string{"scheduler-mode": "reactive"})
	if _, err := d.DeploySession(within(t)); err == nil || !strings.Contains(err.Error(), "jobmanager.scheduler") {
		t.Errorf("error %v, want one that names jobmanager.scheduler", err)
	}
}

// TestSweep: what belongs to an application that has ended goes; what isn't known to have ended stays.
func TestSweep(t *testing.T) {
	w, c := memoryWorld(t, yarntest.Config{})
	d, _ := w.descriptor(t, nil)
	living, _ := c.AddApplication("living")
	ended, _ := c.AddApplication("ended")
	web, err := webservice.New(webservice.Config{Addresses: c.WebAddresses()})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	if err := web.Kill(within(t), ended.Application); err != nil {
		t.Fatal(err)
	}
	root := strings.TrimPrefix(w.staging, "file://")
	old := time.Now().Add(-48 * time.Hour)
	for name, content := range map[string]string{
		"application_1_0001":        "",                                                               // never submitted, long ago
		"application_1_0002":        `{"site":{"yarn.resourcemanager.webapp.address":"elsewhere:1"}}`, // another cluster's
		"application_1_0003":        "new",                                                            // being submitted
		"something":                 "",
		living.Application.String(): "", ended.Application.String(): "",
	} {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if content != "" && content != "new" {
			if err := os.WriteFile(filepath.Join(dir, "deployment.json"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if content != "new" {
			if err := os.Chtimes(dir, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.Sweep(within(t)); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(walk(t, root), " ")
	if want := living.Application.String() + " application_1_0002 application_1_0002/deployment.json application_1_0003 something"; got != want {
		t.Errorf("after the sweep there are %q, want %q", got, want)
	}
}
