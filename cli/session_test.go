package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/internal/testkit"
)

func TestYarnSessionDetached(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	k.wants(k.run("yarn-session", "-d", "-s", "2", "-tm", "1024", "-qu", "etl", "-Dx.y=z", "-Drest.port=1"), ExitOK, nil,
		[]string{"weft yarn-session stop " + appID, "yarn application -kill " + appID})
	if got, want := k.out.String(), appID+"\nJobManager Web Interface: http://rm:8088/proxy/"+appID+"\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if conf.Get(k.yarn.conf, conf.TaskManagerNumberOfTaskSlots) != 2 || conf.Get(k.yarn.conf, conf.YarnApplicationQueue) != "etl" ||
		conf.Get(k.yarn.conf, conf.TaskManagerMemoryProcessSize) != conf.Gibibyte || conf.Get(k.yarn.conf, conf.ExecutionAttached) {
		t.Errorf("configuration: %v", k.yarn.conf.Map())
	}
	p, err := readProperties(filepath.Join(k.TempDir, ".yarn-properties-alice"))
	if err != nil || p == nil || p.id != appID || strings.Join(p.dynamic, " ") != "x.y=z rest.port=1" {
		t.Errorf("properties file: %+v, %v", p, err)
	}
}

func TestYarnSessionFails(t *testing.T) {
	k := newKit(t)
	k.yarn.deploy = func(context.Context) error { return errors.New("queue etl doesn't exist") }
	k.wants(k.run("yarn-session", "-d"), ExitError, nil, []string{"Couldn't deploy Yarn session cluster: queue etl doesn't exist"})
	if strings.Contains(k.err.String(), "Usage:") {
		t.Errorf("usage is shown for a failed submission: %s", k.err)
	}
	if files, _ := os.ReadDir(k.TempDir); len(files) != 0 {
		t.Errorf("files: %v", files)
	}
}

func TestYarnSessionCommands(t *testing.T) {
	for _, word := range []string{"stop", "quit"} {
		testkit.NoGoroutinesLeft(t)
		k := newKit(t)
		k.In = strings.NewReader("\nhelp\nwhat\n" + word + "\n")
		k.rest.shutdown = func() { k.yarn.now(client.Report{State: client.Succeeded}) }
		k.wants(k.run("yarn-session", "--json"), ExitOK, []string{`"event":"deployed"`, `"event":"ended"`, `"state":"SUCCEEDED"`},
			[]string{"Available commands:", "Unknown command 'what'", "finalStatus=SUCCEEDED"})
		if !k.rest.seen("DELETE /v1/cluster") || len(k.yarn.killed) != 0 {
			t.Errorf("requests %v, killed %v", k.rest.requests, k.yarn.killed)
		}
		if files, _ := os.ReadDir(k.TempDir); len(files) != 0 {
			t.Errorf("the properties file is still there: %v", files)
		}
	}
}

// A session that doesn't end when it is told to is killed.
func TestYarnSessionThatDoesNotEnd(t *testing.T) {
	k := newKit(t)
	k.In = strings.NewReader("stop\n")
	k.wants(k.run("yarn-session", "-Dclient.timeout=300ms"), ExitOK, nil, []string{"is killed"})
	if len(k.yarn.killed) != 1 {
		t.Errorf("killed %v", k.yarn.killed)
	}
}

func TestYarnSessionEndsByItself(t *testing.T) {
	for state, code := range map[client.State]int{client.Succeeded: ExitOK, client.Failed: ExitFailed, client.Killed: ExitCanceled} {
		testkit.NoGoroutinesLeft(t)
		k := newKit(t)
		in, stdin := io.Pipe()
		defer stdin.Close()
		k.In = in
		k.yarn.now(client.Report{State: client.Running}, client.Report{State: state, Diagnostics: "the node burns"})
		var texts []string
		if state != client.Succeeded {
			texts = []string{"The Weft Yarn cluster has failed.", "session " + appID + " ended " + state.String() + ": the node burns"}
		}
		k.wants(k.run("yarn-session"), code, nil, texts)
	}
}

// Standard input's end doesn't end the session, and says so; who types is told how to end it.
func TestYarnSessionWithoutInput(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	k := newKit(t)
	k.In, k.InTerminal = strings.NewReader(""), true
	code := make(chan int)
	go func() { code <- k.run("yarn-session") }()
	k.eventually("end of standard input", func() bool { return strings.Contains(k.err.String(), "standard input has ended; the session goes on") })
	k.yarn.now(client.Report{State: client.Succeeded})
	k.wants(<-code, ExitOK, nil, []string{"type stop, or press Ctrl-C", "weft yarn-session stop " + appID})
	if k.rest.seen("DELETE /v1/cluster") {
		t.Errorf("requests %v", k.rest.requests)
	}
}

// Ctrl-C ends the session, also one that was attached to.
func TestYarnSessionInterrupted(t *testing.T) {
	for _, args := range [][]string{{"yarn-session"}, {"yarn-session", "-id", appID}} {
		testkit.NoGoroutinesLeft(t)
		k := newKit(t)
		in, stdin := io.Pipe()
		defer stdin.Close()
		k.In = in
		k.rest.shutdown = func() { k.yarn.now(client.Report{State: client.Succeeded}) }
		ctx, cancel := context.WithCancelCause(context.Background())
		code := make(chan int)
		go func() { code <- Run(ctx, k.Env, args) }()
		k.eventually("deployment", func() bool { return strings.Contains(k.out.String(), appID) })
		cancel(&signalError{syscall.SIGINT})
		k.wants(<-code, 130, nil, []string{"got signal interrupt"})
		if !k.rest.seen("DELETE /v1/cluster") {
			t.Errorf("requests %v", k.rest.requests)
		}
	}
}

func TestYarnSessionStop(t *testing.T) {
	k := newKit(t)
	write(t, filepath.Join(k.TempDir, ".yarn-properties-alice"), "applicationID="+appID)
	k.rest.shutdown = func() { k.yarn.now(client.Report{State: client.Succeeded}) }
	k.wants(k.run("yarn-session", "stop", appID), ExitOK, []string{"Stopped session " + appID + ".\n"}, nil)
	if files, _ := os.ReadDir(k.TempDir); len(files) != 0 {
		t.Errorf("the properties file is still there: %v", files)
	}
	for _, test := range []struct {
		err    error
		code   int
		killed int
		text   string
	}{
		{client.ErrEnded, ExitOK, 0, "has ended already"},
		{client.ErrNotFound, ExitError, 0, "stop session " + appID + ": not found"},
		{errors.New("it is ACCEPTED"), ExitOK, 1, "is killed"},
	} {
		k = newKit(t)
		k.yarn.retrieve = func(string) error { return test.err }
		k.wants(k.run("yarn-session", "stop", appID), test.code, nil, []string{test.text})
		if len(k.yarn.killed) != test.killed {
			t.Errorf("%v: killed %v", test.err, k.yarn.killed)
		}
	}
}
