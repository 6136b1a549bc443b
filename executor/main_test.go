package executor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
)

// The test binary is also the application: behave says what it does as a driver.
const behave = "WEFT_EXECUTOR_TEST"

func TestMain(m *testing.M) {
	if what := os.Getenv(behave); what != "" {
		os.Exit(application(what))
	}
	os.Exit(m.Run())
}

// application is main of an application.
func application(what string) int {
	switch what {
	case "stranger":
		return 0
	case "stranger-fails":
		return 4
	}
	ctx := context.Background()
	c, err := link.ConnectDriver(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 70
	}
	err = drive(ctx, c, what)
	if err := errors.Join(err, c.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

func testGraph(name string) *graph.JobGraph {
	id := graph.NewJobID()
	return &graph.JobGraph{JobId: id[:], Name: name, Definition: name, Key: "#1", Config: map[string]string{"pipeline.name": "own"}}
}

func drive(ctx context.Context, c *link.DriverClient, what string) error {
	switch what {
	case "nothing":
		return nil
	case "fails":
		fmt.Fprintln(os.Stderr, strings.Repeat("line\n", 5000)+"no input files")
		return errors.New("no input: give a path")
	case "two-jobs":
		for _, name := range []string{"first", "second"} {
			if err := run(ctx, c, name); err != nil {
				return err
			}
		}
		return nil
	case "starts":
		_, err := c.Submit(ctx, testGraph("started"))
		return err
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "orphan": // leaves a process that keeps its output open
		sleeper := exec.Command("sleep", "600")
		sleeper.Stdout = os.Stdout
		if err := sleeper.Start(); err != nil {
			return err
		}
		fmt.Println("sleeper", sleeper.Process.Pid)
	}
	return run(ctx, c, "words")
}

func run(ctx context.Context, c *link.DriverClient, name string) error {
	g := testGraph(name)
	id, err := c.Submit(ctx, g)
	if err != nil {
		return err
	}
	fmt.Println("submitted", id, c.Config()["my.key"])
	if c.Detached() {
		return nil
	}
	r, err := c.Await(ctx, id)
	if err != nil {
		return err
	}
	fmt.Println("result", r.GetStatus(), r.GetCounters()["words"])
	return nil
}

// within waits for ch, at most for a while.
func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s didn't happen", what)
		panic("unreachable")
	}
}
