//go:build linux

package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
)

const patience = 20 * time.Second

// envChild says what the test binary does instead of tests.
const envChild = "LINK_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(envChild) {
	case "driver":
		driverMain()
	case "host":
		hostMain()
	case "plain":
		fmt.Print(os.Getenv(envRole), os.Getenv(envLinkFD), os.Getenv(envDataFD))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func die(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(99)
}

// driverMain submits a job, says what came back, and waits for the job.
func driverMain() {
	role, err := Detect()
	if err != nil || role != Driver {
		die("role %s, %v", role, err)
	}
	if os.Getenv(envRole)+os.Getenv(envLinkFD)+os.Getenv(envDataFD) != "" {
		die("the environment wasn't cleaned")
	}
	// What the application starts gets neither variables nor descriptors.
	executable, err := os.Executable()
	if err != nil {
		die("%v", err)
	}
	grandchild := exec.Command(executable)
	grandchild.Env = append(os.Environ(), envChild+"=plain")
	if out, err := grandchild.CombinedOutput(); err != nil || len(out) > 0 {
		die("grandchild: %q, %v", out, err)
	}
	flags, err := unix.FcntlInt(3, unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		die("descriptor 3 has flags %d, %v", flags, err)
	}
	if _, err := AttachHost(context.Background()); err == nil {
		die("a driver attached as a task host")
	}
	c, err := ConnectDriver(context.Background())
	if err != nil {
		die("%v", err)
	}
	if _, err := ConnectDriver(context.Background()); err == nil {
		die("the link was used twice")
	}
	id, err := c.Submit(context.Background(), &graph.JobGraph{JobId: make([]byte, 16), Name: c.Config()["name"]})
	if err != nil {
		die("%v", err)
	}
	r, err := c.Await(context.Background(), id)
	if err != nil {
		die("%v", err)
	}
	fmt.Printf("%s %s %v\n", r.GetName(), r.GetStatus(), c.Detached())
	if err := c.Close(); err != nil {
		die("%v", err)
	}
	os.Exit(0)
}

// hostMain attaches and waits; it answers each data connection with its preamble.
func hostMain() {
	c, err := AttachHost(context.Background())
	if err != nil {
		die("%v", err)
	}
	d, err := InheritedData()
	if err != nil {
		die("%v", err)
	}
	if err := c.Send(&linkpb.FromHost{Message: &linkpb.FromHost_Hello{Hello: &linkpb.HostHello{Version: ThisVersion()}}}); err != nil {
		die("%v", err)
	}
	for {
		conn, preamble, err := d.Accept()
		if err != nil {
			break
		}
		conn.Write(preamble)
		conn.Close()
	}
	select {} // the end of the link ends the process
}

// child starts the test binary in a role.
func child(t *testing.T, role Role, what string) (*Child, *bytes.Buffer) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Command(role, executable)
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	c.Cmd.Env = append(os.Environ(), envChild+"="+what, envRole+"=nonsense")
	c.Cmd.Stdout, c.Cmd.Stderr = &output, &output
	s := NewSpawner()
	t.Cleanup(s.Close)
	if err := s.Start(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, &output
}

func exitCode(t *testing.T, c *Child, output *bytes.Buffer) int {
	t.Helper()
	timer := time.AfterFunc(patience, func() { c.Cmd.Process.Kill() })
	defer timer.Stop()
	c.Cmd.Wait()
	t.Logf("child: %s, output %q", c.Cmd.ProcessState, output)
	return c.Cmd.ProcessState.ExitCode()
}

// service is a DriverService.
type service struct {
	config  map[string]string
	awaited chan struct{} // closed when Await is called
	finish  chan struct{}
}

func newService() *service {
	return &service{config: map[string]string{"name": "wordcount"}, awaited: make(chan struct{}), finish: make(chan struct{})}
}

func (s *service) Welcome(context.Context) (map[string]string, bool, error) {
	return s.config, true, nil
}

func (s *service) Submit(_ context.Context, g *graph.JobGraph) (graph.JobID, error) {
	if g.GetName() == "" {
		return graph.JobID{}, errors.New("queue etl is full")
	}
	return graph.JobID{7}, nil
}

func (s *service) Await(ctx context.Context, id graph.JobID) (*linkpb.JobResult, error) {
	if id != (graph.JobID{7}) {
		return nil, fmt.Errorf("job %s is unknown", id)
	}
	close(s.awaited)
	select {
	case <-s.finish:
		return &linkpb.JobResult{Name: "wordcount", Status: linkpb.JobStatus_FINISHED}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *service) Cancel(_ context.Context, id graph.JobID) error {
	if id != (graph.JobID{7}) {
		return fmt.Errorf("job %s is unknown", id)
	}
	close(s.finish)
	return nil
}
