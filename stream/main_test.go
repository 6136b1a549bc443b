package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/weftstream/weft/connector/console"
	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// programVariable makes the test binary a program that is started by a person.
const programVariable = "WEFT_TEST_PROGRAM"

var hello = stream.Define("test-hello", func(env *stream.Env, p []string) error {
	s := stream.From(env, streamtest.From(p...)).Parallelism(1)
	s.To(console.Print[string]()).Parallelism(1)
	stream.Process(stream.KeyBy(stream.Map(s, func(s string) int64 { return int64(len(s)) }), func(n int64) int64 { return n }),
		func(rt *stream.Runtime) *counting { return &counting{rt.Counter("letters")} }).To(discard.Sink[int64]())
	return nil
})

var broken = stream.Define("test-broken", func(env *stream.Env, p int) error {
	stream.Map(stream.From(env, streamtest.From(p)), func(n int) int { return 1 / n }).To(discard.Sink[int]())
	return nil
})

// subtasks counts those of an operator that doesn't say how many it wants.
var subtasks = stream.Define("test-subtasks", func(env *stream.Env, _ struct{}) error {
	s := stream.From(env, streamtest.From[int64](1)).Parallelism(1)
	stream.Process(stream.KeyBy(s, func(n int64) int64 { return n }), func(rt *stream.Runtime) *counting {
		rt.Counter("subtasks").Add(1)
		return &counting{rt.Counter("letters")}
	}).To(discard.Sink[int64]())
	return nil
})

var programs = map[string]func(ctx context.Context, d *stream.Driver) error{
	"hello": func(ctx context.Context, d *stream.Driver) error {
		_, err := hello.Run(ctx, d, os.Args[1:])
		return err
	},
	"broken": func(ctx context.Context, d *stream.Driver) error {
		_, err := broken.Run(ctx, d, 0)
		return err
	},
	"error": func(context.Context, *stream.Driver) error { return errors.New("my own reason") },
	"configuration": func(ctx context.Context, d *stream.Driver) error {
		for _, v := range os.Environ() {
			if strings.Contains(v, "pipeline.name") {
				return fmt.Errorf("the environment still has %s", v)
			}
		}
		d.Set("my.second", "program's")
		c, err := d.Configuration()
		if err != nil {
			return err
		}
		first, _ := c.Raw("my.first")
		second, _ := c.Raw("my.second")
		r, err := subtasks.Run(ctx, d, struct{}{})
		if err != nil {
			return err
		}
		fmt.Println(first, second, r.Counter("subtasks"))
		return nil
	},
	"endless": func(ctx context.Context, d *stream.Driver) error {
		c, err := endless.Start(ctx, d, struct{}{})
		if err != nil {
			return err
		}
		fmt.Println("started")
		_, err = c.Await(ctx)
		return err
	},
}

func TestMain(m *testing.M) {
	if name := os.Getenv(programVariable); name != "" {
		stream.Main(programs[name])
	}
	os.Exit(m.Run())
}

func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), streamtest.Timeout)
	t.Cleanup(stop)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), programVariable+"="+name)
	return cmd
}

func TestLocalProgramPrintsItsOutputAndFlinksSummary(t *testing.T) {
	cmd := program(t, "hello", "one", "three", "--flag")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	if out.String() != "one\nthree\n--flag\n" {
		t.Errorf("standard output is %q", out.String())
	}
	for _, want := range []string{"Job has been submitted with JobID ", "Program execution finished\nJob with JobID ", " has finished.\nJob Runtime: ", " ms\n\nAccumulator Results: \n- letters (int64): 14\n"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("standard error lacks %q: %s", want, errs.String())
		}
	}
}

// What `weft run -t local` hands over is below what the program sets, and reaches the job.
func TestLocalProgramGetsItsConfiguration(t *testing.T) {
	for _, parallelism := range []string{"2", "3"} {
		cmd := program(t, "configuration")
		var err error
		cmd.Env, err = link.LocalEnvironment(cmd.Env, map[string]string{"parallelism.default": parallelism, "pipeline.name": "named", "my.first": "line's", "my.second": "line's"})
		if err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		if want := "line's program's " + parallelism + "\n"; out.String() != want {
			t.Errorf("the program printed %q, want %q", out.String(), want)
		}
	}
}

func TestExitCodesOfFailedPrograms(t *testing.T) {
	for name, want := range map[string]string{"broken": "integer divide by zero", "error": "my own reason"} {
		out, err := program(t, name).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != stream.ExitFailed || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
		if name == "broken" && !strings.Contains(string(out), "main_test.go:") {
			t.Errorf("the stack is missing: %s", out)
		}
	}
}

func TestSignalsCancelTheJobs(t *testing.T) {
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: stream.ExitInterrupted, syscall.SIGTERM: stream.ExitTerminated} {
		cmd := program(t, "endless")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != code {
			t.Errorf("%v: %v, want exit code %d", sig, err, code)
		}
	}
}
