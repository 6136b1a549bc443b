// Command app is the application of package yarn's tests. Its first argument says what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/weftstream/weft/connector/console"
	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/stream"
)

// Params are the job's.
type Params struct {
	Records int64 // 0: for ever
	Panic   bool
}

var job = stream.Define("numbers", func(env *stream.Env, p Params) error {
	options := []datagen.Option{}
	if p.Records == 0 {
		options = append(options, datagen.Rate(10))
	}
	numbers := stream.From(env, datagen.New(p.Records, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	}, options...)).UID("numbers")
	texts := stream.Map(numbers, func(n int64) string {
		if p.Panic {
			panic("the operator panics on purpose")
		}
		return fmt.Sprint("number ", n)
	}).UID("texts")
	texts.To(console.Print[string]()).UID("print")
	return nil
})

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error {
		do := "count"
		if len(os.Args) > 1 {
			do = os.Args[1]
		}
		switch do {
		case "count", "panic", "forever":
			p := Params{Records: 1000, Panic: do == "panic"}
			if do == "forever" {
				p.Records = 0
			}
			_, err := job.Run(ctx, d, p)
			return err
		case "arguments": // they and the environment arrive as they were given
			fmt.Println(strings.Join(os.Args[1:], "|"), os.Getenv("APP_VARIABLE"))
			_, err := job.Run(ctx, d, Params{Records: 10})
			return err
		case "fail":
			return errors.New("the driver fails on purpose")
		case "nothing":
			return nil
		}
		return fmt.Errorf("unknown argument %q", do)
	})
}
