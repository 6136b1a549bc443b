//go:build linux

package taskmanager

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/host"
	"github.com/weftstream/weft/runtime/network"
)

// inProcess starts a host in this process.
func inProcess(t *testing.T, build host.Build) *testHost {
	t.Helper()
	dir := t.TempDir()
	p := &InProcess{TempDir: dir, Options: func(s HostSpec) host.Options {
		if s.JobName != "job" {
			t.Errorf("spec %+v", s)
		}
		return host.Options{Build: build, Log: quiet(t)}
	}}
	h, err := p.Start(t.Context(), HostSpec{JobID: testJob, JobName: "job",
		Start:  &linkpb.HostStart{Graph: &graph.JobGraph{JobId: testJob[:], Name: "job"}, ResourceId: "tm1", JobKey: make([]byte, 32)},
		Limits: func() Limits { return Limits{} }})
	if err != nil {
		t.Fatal(err)
	}
	x := &testHost{Host: h, t: t}
	t.Cleanup(func() {
		x.end()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return x
}

func TestInProcess(t *testing.T) {
	for _, test := range []struct {
		name   string
		build  host.Build
		failed string
		code   int32
		reason string
	}{
		{"build fails", func(string, []byte) (*graph.StreamGraph, error) { return nil, errors.New("no such file") },
			"no such file", 1, "build job"},
		{"build panics", func(string, []byte) (*graph.StreamGraph, error) { panic("boom") }, "boom", 1, "build job"},
	} {
		t.Run(test.name, func(t *testing.T) {
			testkit.NoGoroutinesLeft(t)
			h := inProcess(t, test.build)
			if m := h.next(); m.GetHello() == nil {
				t.Errorf("got %v, want hello", m)
			}
			if m := h.next(); !strings.Contains(m.GetFailed().GetMessage(), test.failed) {
				t.Errorf("got %v, want the failure %q", m, test.failed)
			}
			if x := h.exited(); x.GetExitCode() != test.code || !strings.HasPrefix(x.GetReason(), test.reason) {
				t.Errorf("got %v", x)
			}
			if err := h.Send(&linkpb.ToHost{}); err == nil {
				t.Error("sending to an ended host succeeded")
			}
		})
	}
}

// A host drops, however it ends, the connections it hasn't used.
func TestInProcessEnds(t *testing.T) {
	for _, how := range []string{"failure", "kill"} {
		t.Run(how, func(t *testing.T) {
			testkit.NoGoroutinesLeft(t)
			building, release := make(chan struct{}), make(chan struct{})
			h := inProcess(t, func(string, []byte) (*graph.StreamGraph, error) {
				close(building)
				<-release
				return nil, errors.New("too late")
			})
			h.next() // hello
			<-building
			ours, theirs := net.Pipe()
			defer ours.Close()
			var preamble bytes.Buffer
			if err := network.WritePreamble(&preamble, network.Preamble{Job: testJob, Resource: "tm2"}); err != nil {
				t.Fatal(err)
			}
			if err := h.PassConn(theirs, preamble.Bytes()); err != nil {
				t.Fatal(err)
			}
			if how == "kill" {
				h.Kill()
			}
			close(release)
			h.exited()
			ours.SetDeadline(time.Now().Add(patience))
			if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the unused connection: %v", err)
			}
			_, other := net.Pipe()
			if err := h.PassConn(other, preamble.Bytes()); err == nil {
				t.Error("a connection was passed to an ended host")
			}
		})
	}
}

// User code that can't be stopped is reported and left behind; it costs the job no more than that.
func TestInProcessStuck(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	building, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	h := inProcess(t, func(string, []byte) (*graph.StreamGraph, error) {
		close(building)
		<-release
		return nil, errors.New("too late")
	})
	h.next()
	<-building
	h.Kill()
	if x := h.exited(); !strings.Contains(x.GetReason(), "its goroutines are left behind") {
		t.Errorf("got %v", x)
	}
}
