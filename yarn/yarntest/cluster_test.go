package yarntest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/nm"
	"github.com/weftstream/weft/yarn/webservice"
	"github.com/weftstream/weft/yarn/yarntest"
)

const patience = 60 * time.Second

// roleVariable makes this test binary an application master.
const roleVariable = "YARNTEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "master" {
		if err := runMaster(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runMaster is an application master as a real process: it starts one task,
// waits for its end and reports it.
func runMaster() error {
	creds, err := hadoop.ReadCredentialsFile(os.Getenv("HADOOP_TOKEN_FILE_LOCATION"))
	if err != nil {
		return err
	}
	token, ok := creds.TokenOfKind(hadoop.KindAMRMToken)
	if !ok {
		return errors.New("no AMRMToken")
	}
	id, err := records.ParseContainerID(os.Getenv("CONTAINER_ID"))
	if err != nil {
		return err
	}
	if os.Getenv("FAIL_FIRST") != "" && id.Attempt.Attempt == 1 {
		return errors.New("fails the first time")
	}
	client, err := amrm.NewClient(amrm.ClientConfig{Addresses: []string{os.Getenv("RM")}, Token: token})
	if err != nil {
		return err
	}
	defer client.Close()
	pool := nm.NewPool(nm.Config{})
	defer pool.Close()
	allocated, completed := make(chan records.Container, 1), make(chan records.ContainerStatus, 1)
	session, err := amrm.NewSession(amrm.SessionConfig{
		Client: client, Registration: amrm.Registration{Host: os.Getenv("NM_HOST"), RPCPort: 4711},
		FastInterval: 5 * time.Millisecond, SlowInterval: 5 * time.Millisecond,
		OnEvent: func(e amrm.Event) {
			switch e := e.(type) {
			case amrm.NMTokensReceived:
				pool.SetTokens(e.Tokens...)
			case amrm.Allocated:
				allocated <- e.Containers[0]
			case amrm.Completed:
				completed <- e.Statuses[0]
			}
		},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- session.Run(ctx) }()
	err = session.SetWants([]amrm.Want{{Priority: 1, Capability: records.Resource{MemoryMB: 64, VCores: 2}, Count: 1}})
	if err != nil {
		return err
	}
	select {
	case c := <-allocated:
		err = pool.StartContainer(ctx, nm.StartRequest{Container: c, Launch: records.LaunchContext{
			Command: "cat container_tokens 1><LOG_DIR>/stdout; exit 7", Credentials: creds.Without(hadoop.KindAMRMToken),
		}})
	case err = <-result:
	}
	if err != nil {
		return err
	}
	status := <-completed
	err = session.Finish(ctx, records.FinalSucceeded, fmt.Sprintf("task exit %d, secret %s", status.ExitStatus, creds.Secrets["word"]), "")
	return errors.Join(err, <-result)
}

type fixture struct {
	cluster *yarntest.Cluster
	client  *webservice.Client
	dir     string
}

func start(t *testing.T) *fixture {
	t.Helper()
	testkit.NoGoroutinesLeft(t)
	f := &fixture{dir: t.TempDir()}
	var err error
	f.cluster, err = yarntest.Start(yarntest.Config{
		HeartbeatInterval: 5 * time.Millisecond, Launcher: yarntest.Processes(f.dir, nil),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.cluster.Close)
	f.client, err = webservice.New(webservice.Config{Addresses: f.cluster.WebAddresses(), User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.client.Close)
	return f
}

// submit starts this test binary as an application master.
func (f *fixture) submit(t *testing.T, change func(*webservice.Submission)) records.ApplicationID {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	app, err := f.client.NewApplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := webservice.Submission{
		ID: app.ID, Name: "test", Type: "Weft", Resource: records.Resource{MemoryMB: 128, VCores: 1}, MaxAttempts: 2,
		Launch: records.LaunchContext{
			LocalResources: map[string]records.LocalResource{"am": {
				URL: "file://" + path, Size: info.Size(), Timestamp: info.ModTime().UnixMilli(),
				Type: records.ResourceFile, Visibility: records.VisibilityApplication,
			}},
			Environment: map[string]string{roleVariable: "master", "RM": f.cluster.SchedulerAddresses()[0]},
			Command:     "exec ./am 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr",
			Credentials: &hadoop.Credentials{Secrets: map[string][]byte{"word": []byte("xyzzy")}},
		},
	}
	if change != nil {
		change(&s)
	}
	if err := f.client.Submit(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return app.ID
}

func (f *fixture) await(t *testing.T, id records.ApplicationID, what string, done func(webservice.Application) bool) webservice.Application {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var app webservice.Application
	err := f.cluster.Wait(ctx, what, func() bool {
		var err error
		app, err = f.client.Application(ctx, id)
		return err == nil && done(app)
	})
	if err != nil {
		t.Fatalf("%v; last %+v; logs %s", err, app, f.logs(id))
	}
	return app
}

func (f *fixture) logs(id records.ApplicationID) string {
	var b strings.Builder
	names, _ := filepath.Glob(filepath.Join(f.dir, "logs", id.String(), "*", "*"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		fmt.Fprintf(&b, "%s: %s\n", filepath.Base(name), text)
	}
	return b.String()
}

func ended(a webservice.Application) bool { return a.State.Ended() }

func TestProcesses(t *testing.T) {
	f := start(t)
	id := f.submit(t, nil)
	app := f.await(t, id, "the application has ended", ended)
	if app.State != webservice.StateFinished || app.FinalStatus != "SUCCEEDED" || app.Diagnostics != "task exit 7, secret xyzzy" {
		t.Errorf("got %+v; logs %s", app, f.logs(id))
	}
	if host, port, ok := app.AMAddress(); !ok || host != "127.0.0.1" || port != 4711 {
		t.Errorf("address %s:%d", host, port)
	}
	// The task's token file has the secret, and not the master's token.
	task, err := os.ReadFile(filepath.Join(f.dir, "logs", id.String(), records.ContainerID{
		Attempt: records.AttemptID{Application: id, Attempt: 1}, ID: 2,
	}.String(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	creds, err := hadoop.ParseCredentials(task)
	if err != nil || string(creds.Secrets["word"]) != "xyzzy" || len(creds.Tokens) != 0 {
		t.Errorf("the task's credentials are %+v, %v", creds, err)
	}
}

func TestSecondAttempt(t *testing.T) {
	f := start(t)
	id := f.submit(t, func(s *webservice.Submission) { s.Launch.Environment["FAIL_FIRST"] = "1" })
	app := f.await(t, id, "the application has ended", ended)
	if app.FinalStatus != "SUCCEEDED" {
		t.Errorf("got %+v; logs %s", app, f.logs(id))
	}
	if attempts, err := f.client.Attempts(t.Context(), id); err != nil || len(attempts) != 2 {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
}

func TestFailedLaunches(t *testing.T) {
	f := start(t)
	for _, tt := range []struct {
		name   string
		change func(*webservice.Submission)
		want   string
	}{
		{"exit status", func(s *webservice.Submission) { s.Launch.Command = "exit 5" }, "exitCode: 5"},
		{"double quote in a value", func(s *webservice.Submission) { s.Launch.Environment["X"] = `a"b` }, "exitCode: "},
		{"changed file", func(s *webservice.Submission) {
			r := s.Launch.LocalResources["am"]
			r.Timestamp++
			s.Launch.LocalResources["am"] = r
		}, "changed on src filesystem"},
		{"killed by a signal", func(s *webservice.Submission) { s.Launch.Command = "kill -9 $$" }, "exitCode: 137"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := f.submit(t, func(s *webservice.Submission) { s.MaxAttempts = 1; tt.change(s) })
			app := f.await(t, id, "the application has ended", ended)
			if app.State != webservice.StateFailed || !strings.Contains(app.Diagnostics, tt.want) {
				t.Errorf("got %s: %s", app.State, app.Diagnostics)
			}
		})
	}
}

// TestKillEndsTheProcessGroup starts a master that ignores SIGTERM and has a
// child.
func TestKillEndsTheProcessGroup(t *testing.T) {
	f := start(t)
	pids := filepath.Join(f.dir, "pids")
	id := f.submit(t, func(s *webservice.Submission) {
		s.Launch.Command = "trap : TERM; sleep 1000 & echo \\$\\$ \\$! >" + pids + ".tmp; mv " + pids + ".tmp " + pids + "; while :; do wait; done"
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var text []byte
	err := f.cluster.TickUntil(ctx, func() bool { text, _ = os.ReadFile(pids); return len(text) > 0 })
	if err != nil {
		t.Fatalf("%v; logs %s", err, f.logs(id))
	}
	if err := f.client.Kill(ctx, id); err != nil {
		t.Fatal(err)
	}
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.cluster.TickUntil(ctx, func() bool { return !alive(pid) }); err != nil {
			t.Errorf("process %d is still there", pid)
		}
	}
}

// alive reports whether a process runs; one that waits to be reaped doesn't.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
