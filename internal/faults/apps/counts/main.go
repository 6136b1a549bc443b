// Command counts is an application whose output is known beforehand, at any parallelism and after any number of restarts:
// the numbers from 0 to n-1 are counted by their remainder, and every number gives one line, remainder<TAB>count. So
// each pair from (r, 1) to (r, numbers with remainder r) is written exactly once.
//
//	counts [--events n] [--rate n] [--keys n] --output directory
package main

import (
	"context"
	"flag"
	"os"

	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/internal/tally"
	"github.com/weftstream/weft/stream"
)

// Params are the job's.
type Params struct {
	Events int64
	Rate   float64
	Keys   int64
	Output string
}

var counts = stream.Define("counts", func(env *stream.Env, p Params) error {
	numbers := stream.From(env, tally.Numbers(p.Events, p.Rate)).UID("numbers")
	byRemainder := stream.KeyBy(numbers, func(n int64) int64 { return n % p.Keys })
	stream.Process(byRemainder, func(rt *stream.Runtime) *tally.Counter { return tally.NewCounter(rt, nil) }).UID("counter").
		To(file.Text(p.Output)).UID("output")
	return nil
})

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error {
		var p Params
		flags := flag.NewFlagSet("counts", flag.ContinueOnError)
		flags.Int64Var(&p.Events, "events", 10000, "number of records")
		flags.Float64Var(&p.Rate, "rate", 1000, "records per second; 0: without bound")
		flags.Int64Var(&p.Keys, "keys", 100, "number of keys")
		flags.StringVar(&p.Output, "output", "", "directory to write")
		if err := flags.Parse(os.Args[1:]); err != nil {
			return err
		}
		_, err := counts.Run(ctx, d, p)
		return err
	})
}
