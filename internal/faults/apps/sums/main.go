// Command sums is an application whose output is known beforehand, at any parallelism: the numbers from 0 to n-1, divided
// by the number of keys, are summed up by their remainder. A line of its output is remainder<TAB>sum.
//
//	sums [--events n] [--rate n] [--keys n] [--hang] [--output directory]
//
// With --hang a subtask stops at number 7, for ever, and never looks whether it is cancelled.
package main

import (
	"context"
	"flag"
	"os"
	"strconv"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
)

// Params are the job's.
type Params struct {
	Events int64
	Rate   float64
	Keys   int64
	Hang   bool
	Output string
}

// Sum is the sum of the numbers with one remainder.
type Sum struct{ Remainder, Total int64 }

var sums = stream.Define("sums", func(env *stream.Env, p Params) error {
	numbers := stream.From(env, datagen.New(p.Events, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	}, datagen.Rate(p.Rate))).UID("numbers")
	single := stream.Map(numbers, func(n int64) Sum {
		if p.Hang && n == 7 {
			select {}
		}
		return Sum{n % p.Keys, n}
	}).UID("single")
	total := stream.KeyBy(single, func(s Sum) int64 { return s.Remainder }).
		Window(stream.AtEnd()).
		Reduce(func(a, b Sum) Sum { a.Total += b.Total; return a }).UID("total")
	text := stream.Map(total, func(s Sum) string {
		return strconv.FormatInt(s.Remainder, 10) + "\t" + strconv.FormatInt(s.Total, 10)
	}).UID("text")
	if p.Output == "" {
		text.To(discard.Sink[string]()).UID("nowhere")
		return nil
	}
	text.To(file.Text(p.Output)).UID("output")
	return nil
})

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error {
		var p Params
		flags := flag.NewFlagSet("sums", flag.ContinueOnError)
		flags.Int64Var(&p.Events, "events", 1000, "number of records; 0: for ever")
		flags.Float64Var(&p.Rate, "rate", 0, "records per second; 0: without bound")
		flags.Int64Var(&p.Keys, "keys", 100, "number of keys")
		flags.BoolVar(&p.Hang, "hang", false, "have a subtask ignore its cancellation")
		flags.StringVar(&p.Output, "output", "", "directory to write")
		if err := flags.Parse(os.Args[1:]); err != nil {
			return err
		}
		_, err := sums.Run(ctx, d, p)
		return err
	})
}
