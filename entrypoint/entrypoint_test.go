package entrypoint

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/resourcemanager"
)

func TestRolled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobmanager.log")
	r, err := openRolled(path, 10, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one\n", "two\n", "three\n", "four and more\n", "five\n"} {
		if _, err := r.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": "five\n", ".1": "four and more\n", ".2": "three\n", ".3": ""} {
		b, err := os.ReadFile(path + name)
		if string(b) != want || (err != nil) != (want == "") {
			t.Errorf("%s contains %q (%v), want %q", "log"+name, b, err, want)
		}
	}
	if r, err = openRolled(path, 10, 0); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 3 {
		if _, err := r.Write([]byte("12345678\n")); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "12345678\n" {
		t.Errorf("with no rolled files kept the log is %q (%v)", b, err)
	}
}

func TestListenTakesTheFirstFreePort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	l, err := listen("test", "127.0.0.1", conf.PortRange{{First: port, Last: port}, {First: 0, Last: 0}}, "some.port")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := listen("test", "127.0.0.1", conf.PortRange{{First: port, Last: port}}, "some.port"); err == nil || !strings.Contains(err.Error(), "some.port") {
		t.Errorf("with all ports taken: %v", err)
	}
}

func TestBindHost(t *testing.T) {
	for _, c := range []struct{ configured, host, want string }{
		{"", "node1", ""}, {"", "10.1.2.3", ""}, {"", "127.0.0.3", "127.0.0.3"}, {"", "localhost", "localhost"},
		{"0.0.0.0", "127.0.0.3", "0.0.0.0"}, {"10.1.2.3", "node1", "10.1.2.3"},
	} {
		if got := bindHost(c.configured, c.host); got != c.want {
			t.Errorf("bindHost(%q, %q) = %q, want %q", c.configured, c.host, got, c.want)
		}
	}
}

// TestJudgeSaysEachThingOnce: the driver that ended because its job failed has nothing to add.
func TestJudgeSaysEachThingOnce(t *testing.T) {
	failed := executor.Run{ID: graph.JobID{7}, Name: "words", Result: &linkpb.JobResult{Status: linkpb.JobStatus_FAILED,
		Failure: &linkpb.Failure{Message: "panic: boom", Operator: "Map", Subtask: 1, Stack: "main.explode()\n\tmain.go:7"}}}
	id := failed.ID.String()
	text := `job "words" (` + id + ") ended FAILED: panic: boom (in Map, subtask 1)\nmain.explode()\n\tmain.go:7"
	tail := `job "words" (` + id + ") failed: panic: boom (in Map, subtask 1)\n\nmain.explode()\n\tmain.go:7\n"
	for code, want := range map[int]string{1: text, 2: text + "\nthe application words ended with exit status 2"} {
		w := &jobWatch{runs: []executor.Run{failed}}
		err := &executor.DriverError{Name: "words", ExitCode: code, StderrTail: tail, Connected: true, Jobs: 1}
		if v := w.judge(err); v.diagnostics != want {
			t.Errorf("exit code %d:\n%s\nwant\n%s", code, v.diagnostics, want)
		}
	}
}

func TestJudge(t *testing.T) {
	run := func(s linkpb.JobStatus, message string) executor.Run {
		r := &linkpb.JobResult{Status: s}
		if message != "" {
			r.Failure = &linkpb.Failure{Message: message}
		}
		return executor.Run{Name: "job", Result: r}
	}
	finished, cancelled := run(linkpb.JobStatus_FINISHED, ""), run(linkpb.JobStatus_CANCELED, "")
	for _, c := range []struct {
		name   string
		runs   []executor.Run
		driver error
		status resourcemanager.FinalStatus
		text   string
	}{
		{"finished", []executor.Run{finished, finished}, nil, resourcemanager.StatusSucceeded, ""},
		{"failed", []executor.Run{finished, run(linkpb.JobStatus_FAILED, "boom")}, nil, resourcemanager.StatusFailed, "boom"},
		{"cancelled", []executor.Run{finished, cancelled}, nil, resourcemanager.StatusKilled, "cancelled"},
		{"cancelled, and so the driver failed", []executor.Run{cancelled}, &executor.DriverError{ExitCode: 1},
			resourcemanager.StatusKilled, "cancelled"},
		{"cancelled and failed", []executor.Run{run(linkpb.JobStatus_FAILED, "boom"), cancelled}, nil, resourcemanager.StatusKilled, "cancelled"},
		{"driver", []executor.Run{finished}, &executor.DriverError{ExitCode: 3, StderrTail: "first\nlast\n"},
			resourcemanager.StatusFailed, "first\nlast"},
		{"driver, in a line", nil, &executor.DriverError{Name: "words", Connected: true, ExitCode: 3, StderrTail: "only\n"},
			resourcemanager.StatusFailed, "the application words ended with exit status 3 without submitting a job: only"},
		{"driver and job", []executor.Run{run(linkpb.JobStatus_FAILED, "boom")}, &executor.DriverError{ExitCode: 3, StderrTail: "says so"},
			resourcemanager.StatusFailed, "boom\nthe application"},
		{"no job", nil, executor.ErrNoJob, resourcemanager.StatusFailed, "without submitting a job"},
	} {
		w := &jobWatch{runs: c.runs}
		if v := w.judge(c.driver); v.status != c.status || !strings.Contains(v.diagnostics, c.text) {
			t.Errorf("%s: %s %q, want %s with %q", c.name, v.status, v.diagnostics, c.status, c.text)
		}
	}
}
