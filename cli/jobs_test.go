package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
)

func session1(args ...string) []string { return append(args, "-Dyarn.application.id="+appID) }

func TestList(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	k.wants(k.run(session1("list")...), ExitOK, nil, nil)
	if got := k.out.String(); got != "Waiting for response...\nNo running jobs.\nNo scheduled jobs.\n" {
		t.Errorf("an empty cluster: %q", got)
	}
	if !k.rest.tokens["Bearer secret"] {
		t.Errorf("tokens: %v", k.rest.tokens)
	}
	if k.yarn.swept != 1 || k.yarn.closed != 1 {
		t.Errorf("swept %d times, closed %d times", k.yarn.swept, k.yarn.closed)
	}
	for n, s := range []linkpb.JobStatus{linkpb.JobStatus_FINISHED, linkpb.JobStatus_RUNNING, linkpb.JobStatus_CREATED,
		linkpb.JobStatus_FAILED, linkpb.JobStatus_RESTARTING, linkpb.JobStatus_RUNNING, linkpb.JobStatus_INITIALIZING,
		linkpb.JobStatus_CANCELED, linkpb.JobStatus_CANCELLING} {
		k.rest.job(n+1, s, nil)
	}
	row := func(n int, state string) string {
		return fmt.Sprintf("%s : %032x : job %d (%s)\n", time.UnixMilli(int64(n)*1000).Format("02.01.2006 15:04:05"), n, n, state)
	}
	end := strings.Repeat("-", 62) + "\n"
	running := "------------------ Running/Restarting Jobs -------------------\n" + row(9, "CANCELLING") + row(5, "RESTARTING") +
		row(2, "RUNNING") + row(6, "RUNNING") + end
	scheduled := "----------------------- Scheduled Jobs -----------------------\n" + row(3, "CREATED") + row(7, "INITIALIZING") + end
	terminated := "---------------------- Terminated Jobs -----------------------\n" + row(8, "CANCELED") + row(4, "FAILED") + row(1, "FINISHED") + end
	for options, want := range map[string]string{
		"": running + scheduled, "-r": running, "-s": scheduled, "-r -s": running + scheduled, "-a": running + scheduled + terminated,
		"--all": running + scheduled + terminated,
	} {
		k.out.b.Reset()
		k.wants(k.run(session1(append([]string{"list"}, strings.Fields(options)...)...)...), ExitOK, nil, nil)
		if got := strings.TrimPrefix(k.out.String(), "Waiting for response...\n"); got != want {
			t.Errorf("list %s:\n%s\nwant\n%s", options, got, want)
		}
	}
	k.out.b.Reset()
	k.wants(k.run(session1("list", "-s", "--json")...), ExitOK, []string{`"state":"CREATED"`}, nil)
	if got := k.out.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, `[{"jid":`) || strings.Contains(got, "RUNNING") {
		t.Errorf("list --json: %s", got)
	}
}

func TestListFails(t *testing.T) {
	k := newKit(t)
	k.rest.server.Close()
	k.wants(k.run(session1("list", "-Drest.retry.max-attempts=1", "-Drest.retry.delay=1ms")...), ExitError, nil,
		[]string{"Failed to retrieve job list", "can't be reached", rule + "\n The program finished with the following exception:\n"})
}

func TestCancel(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	id := fmt.Sprintf("%032x", 7)
	k.wants(k.run("cancel", id, "-yid", appID), ExitOK, nil, nil)
	if got, want := k.out.String(), "Cancelling job "+id+".\nCancelled job "+id+".\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if !k.rest.seen("PATCH /v1/jobs/" + id + "?mode=cancel") {
		t.Errorf("requests: %v", k.rest.requests)
	}
	unknown := strings.Repeat("f", 32)
	k.wants(k.run("cancel", "-yid", appID, unknown), ExitError, nil, []string{"Could not cancel job " + unknown, "not found"})
	k.out.b.Reset()
	k.wants(k.run("cancel", "-yid", appID, "--json", id), ExitOK, nil, nil)
	if got, want := k.out.String(), `{"event":"cancelled","jobId":"`+id+"\"}\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	k.out.b.Reset()
	k.wants(k.run("cancel", "-yid", appID, "--json", unknown), ExitError, []string{`{"event":"error","message":"Could not cancel`, `"exitCode":1}`}, nil)
}

// A command finds the session of the properties file; one that has ended is forgotten.
func TestSessionOfPropertiesFile(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	path := filepath.Join(k.TempDir, ".yarn-properties-alice")
	write(t, path, "#Generated YARN properties file\n#Mon Nov 20\napplicationID="+appID+"\n")
	k.wants(k.run("list"), ExitOK, []string{"No running jobs."}, []string{"Found Yarn properties file under " + path, appID})
	if len(k.yarn.asked) != 1 || k.yarn.asked[0] != appID {
		t.Errorf("YARN was asked for %v", k.yarn.asked)
	}
	for _, gone := range []error{client.ErrEnded, client.ErrNotFound} {
		write(t, path, "applicationID="+appID+"\n")
		k.yarn.retrieve = func(string) error { return fmt.Errorf("application: %w", gone) }
		k.wants(k.run("list"), ExitError, nil, []string{"The Yarn application " + appID + " of " + path + " doesn't run anymore",
			"No cluster id was specified"})
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after %v the file is still there: %v", gone, err)
		}
	}
	// With an endpoint configured the command goes on there.
	write(t, path, "applicationID="+appID+"\n")
	k.yarn.retrieve = func(id string) error {
		if id == appID {
			return client.ErrEnded
		}
		return nil
	}
	k.out.b.Reset()
	k.wants(k.run("list", "-Drest.address=elsewhere", "-Drest.port=99"), ExitOK, []string{"No running jobs."}, nil)
	if last := k.yarn.asked[len(k.yarn.asked)-1]; last != "elsewhere:99" {
		t.Errorf("the last cluster asked for is %s", last)
	}
	// YARN that can't be asked says nothing about the session.
	write(t, path, "applicationID="+appID+"\n")
	k.yarn.retrieve = func(string) error { return errors.New("connection refused") }
	k.wants(k.run("list"), ExitError, nil, []string{"Couldn't retrieve cluster " + appID + ": connection refused"})
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}
