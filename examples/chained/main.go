// Command chained is an application of two jobs: the second one's params hold the first one's result.
//
//	chained [--events n] [--output directory]
//
// The first job looks at the numbers 0 to n-1 and counts the primes; the second writes the line "primes<TAB>count".
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/weftstream/weft/connector/console"
	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/discard"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
)

// Limit are the params of the first job.
type Limit struct{ Events int64 }

// Report are the params of the second job.
type Report struct {
	Primes int64
	Output string
}

var count = stream.Define("count-primes", func(env *stream.Env, p Limit) error {
	numbers := stream.From(env, datagen.New(p.Events, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	})).UID("numbers")
	byLast := stream.KeyBy(numbers, func(n int64) int64 { return n % 10 })
	stream.Process(byLast, newSieve).UID("primes").To(discard.Sink[int64]())
	return nil
})

// sieve lets primes through and counts them.
type sieve struct{ primes *stream.Counter }

func newSieve(rt *stream.Runtime) *sieve { return &sieve{rt.Counter("primes")} }

func (s *sieve) Element(c *stream.Context[int64, int64], n int64) error {
	if isPrime(n) {
		s.primes.Add(1)
		c.Emit(n)
	}
	return nil
}

func isPrime(n int64) bool {
	if n < 2 {
		return false
	}
	for d := int64(2); d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}

var report = stream.Define("report", func(env *stream.Env, p Report) error {
	line := stream.From(env, datagen.New(1, func(*stream.Runtime) func(int64) string {
		return func(int64) string { return fmt.Sprintf("primes\t%d", p.Primes) }
	})).UID("line").Parallelism(1)
	if p.Output == "" {
		line.To(console.Print[string]()).UID("print").Parallelism(1)
		return nil
	}
	line.To(file.Text(p.Output)).UID("output").Parallelism(1)
	return nil
})

func drive(ctx context.Context, d *stream.Driver, args []string) error {
	flags := flag.NewFlagSet("chained", flag.ContinueOnError)
	events := flags.Int64("events", 10000, "how many numbers to look at")
	output := flags.String("output", "", "directory to write; it must be empty or missing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *events < 1 {
		return fmt.Errorf("--events %d: at least 1", *events)
	}
	r, err := count.Run(ctx, d, Limit{*events})
	if err != nil {
		return err
	}
	_, err = report.Run(ctx, d, Report{r.Counter("primes"), *output})
	return err
}

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error { return drive(ctx, d, os.Args[1:]) })
}
