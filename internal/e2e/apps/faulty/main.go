// Command faulty is an application that does, on request, what applications must not do.
//
//	faulty [--do what] [--events n] [--rate n] [--output directory]
//
// Without --do it counts numbers: the counter "seen" of its result is the number of events.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"

	"github.com/weftstream/weft/connector/console"
	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
)

// Params are the job's.
type Params struct {
	Do     string
	Events int64
	Rate   float64
	Output string
}

// unlucky is the number at which it goes wrong.
const unlucky = 7

// builds counts the builds of this process, which a build function must never do.
var builds atomic.Int64

var job = stream.Define("faulty", func(env *stream.Env, p Params) error {
	switch p.Do {
	case "build-panic":
		return explode(unlucky)
	case "build-error":
		return errors.New("no graph today")
	}
	numbers := stream.From(env, datagen.New(p.Events, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	}, datagen.Rate(p.Rate))).UID("numbers")
	work := stream.Map(numbers, func(n int64) int64 { return mischief(p.Do, n) }).UID(workUID(p.Do)).Name("work")
	counted := stream.Process(stream.KeyBy(work, func(n int64) int64 { return n % 10 }), newCounting(p.Do)).UID("counting").Name("counting")
	switch {
	case p.Output != "":
		stream.Map(counted, func(n int64) string { return strconv.FormatInt(n, 10) }).UID("text").To(file.Text(p.Output)).UID("output")
	case p.Do == "print":
		counted.To(console.Print[int64]()).UID("print")
	default:
		counted.To(discard.Sink[int64]()).UID("nowhere")
	}
	return nil
})

// workUID is the same in every build, unless that is what is to go wrong.
func workUID(do string) string {
	switch do {
	case "impure": // differs from one build to the next
		return fmt.Sprintf("work-%d", builds.Add(1))
	case "impure-host": // differs from one process to the next
		return fmt.Sprintf("work-%d", os.Getpid())
	}
	return "work"
}

// explode panics, several calls deep, as user code does. Its name is to be found in the stack.
func explode(n int64) error {
	var m map[int64]error
	m[n] = nil
	return m[n]
}

// hoard keeps what is allocated from being freed.
var hoard [][]byte

// mischief is the user function of the map.
func mischief(do string, n int64) int64 {
	if n != unlucky {
		return n
	}
	switch do {
	case "panic":
		_ = explode(n)
	case "exit":
		fmt.Fprintln(os.Stderr, "going away with 3")
		os.Exit(3)
	case "leak":
		debug.SetGCPercent(-1)
		for {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hoard = append(hoard, b)
		}
	case "hang":
		select {} // never returns, and never looks at a context
	}
	return n
}

// counting counts the numbers, and returns an error on request.
type counting struct {
	do   string
	seen *stream.Counter
}

func newCounting(do string) func(*stream.Runtime) *counting {
	return func(rt *stream.Runtime) *counting { return &counting{do, rt.Counter("seen")} }
}

// Element implements stream.Processor.
func (s *counting) Element(c *stream.Context[int64, int64], n int64) error {
	if s.do == "error" && n == unlucky {
		return fmt.Errorf("no luck with %d", n)
	}
	s.seen.Add(1)
	c.Emit(n)
	return nil
}

func drive(ctx context.Context, d *stream.Driver, args []string) error {
	var p Params
	flags := flag.NewFlagSet("faulty", flag.ContinueOnError)
	flags.StringVar(&p.Do, "do", "", "what to do wrong")
	flags.Int64Var(&p.Events, "events", 100, "number of records; 0: for ever")
	flags.Float64Var(&p.Rate, "rate", 0, "records per second; 0: without bound")
	flags.StringVar(&p.Output, "output", "", "directory to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch p.Do {
	case "driver-exit":
		fmt.Fprintln(os.Stderr, "nothing to be done")
		os.Exit(7)
	case "driver-error":
		return errors.New("the weather is bad")
	case "driver-panic":
		return explode(unlucky)
	case "no-run":
		return nil
	}
	r, err := job.Run(ctx, d, p)
	if err != nil {
		return err
	}
	if p.Do == "result" {
		fmt.Printf("seen: %d\n", r.Counter("seen"))
	}
	return nil
}

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error { return drive(ctx, d, os.Args[1:]) })
}
