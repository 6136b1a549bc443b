package streamtest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// recorder is a test that notes its failure instead of failing.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatal(args ...any) {
	r.failure = fmt.Sprint(args...)
	runtime.Goexit()
}
func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// failureOf runs f in a goroutine of its own, which Fatal ends.
func failureOf(t *testing.T, f func(t testing.TB)) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r.failure
}

func job(name string, uid func() string) *stream.Job[int] {
	return stream.Define(name, func(env *stream.Env, n int) error {
		stream.From(env, streamtest.From(1, 2)).UID(uid()).To(discard.Sink[int]())
		return nil
	})
}

var (
	pure        = job("pure", func() string { return "same" })
	environment = job("environment", func() string { return "x" + os.Getenv("PATH") })
	directory   = job("directory", func() string { d, _ := os.Getwd(); return "x" + d })
)

func TestRebuildOfAPureJob(t *testing.T) { streamtest.Rebuild(t, pure, 1) }

func TestRebuildFindsTheEnvironment(t *testing.T) { wantDifference(t, environment) }

func TestRebuildFindsTheDirectory(t *testing.T) { wantDifference(t, directory) }

func wantDifference(t *testing.T, j *stream.Job[int]) {
	t.Helper()
	if f := failureOf(t, func(t testing.TB) { streamtest.Rebuild(t, j, 1) }); !strings.Contains(f, "differs at line 1") {
		t.Fatalf("the failure is %q", f)
	}
}

func TestRunFailsTheTestWithTheJob(t *testing.T) {
	f := failureOf(t, func(t testing.TB) {
		streamtest.Run(t, func(env *stream.Env) {
			stream.Map(stream.From(env, streamtest.From(1)), func(n int) int { panic("boom") }).To(discard.Sink[int]())
		})
	})
	if !strings.Contains(f, "boom") {
		t.Fatalf("the failure is %q", f)
	}
}

func TestValuesKeepTheirTimesAndOrder(t *testing.T) {
	out := streamtest.Collect[string]()
	streamtest.Run(t, func(env *stream.Env) {
		stream.From(env, streamtest.FromTimed(streamtest.Timed[string]{V: "a", At: 5}, streamtest.Timed[string]{V: "b", At: 3})).To(out)
	}, streamtest.Parallelism(1))
	if got := fmt.Sprint(out.Timed()); got != "[{a 5} {b 3}]" {
		t.Fatalf("got %s", got)
	}
}
