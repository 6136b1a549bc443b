// Command app is the application of package yarn's tests. Its first argument says what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// CachedParams are those of a job that says what is in its cached files.
type CachedParams struct {
	Own   string // where the file is that the program itself registers; "": it doesn't
	Names []string
}

var cached = stream.Define("cached", func(env *stream.Env, p CachedParams) error {
	if p.Own != "" {
		env.CachedFile("own", p.Own)
	}
	numbers := stream.From(env, datagen.New(4, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	})).UID("numbers").Rebalance()
	stream.ProcessEach(numbers, func(rt *stream.Runtime) *reader { return &reader{rt, p.Names} }).UID("read").
		To(console.Print[string]()).UID("print")
	return nil
})

type reader struct {
	rt    *stream.Runtime
	names []string
}

// Element says of each file what is in it, and whether it may be executed.
func (r *reader) Element(ctx *stream.Context[stream.NoKey, string], _ int64) error {
	for _, name := range r.names {
		root, err := r.rt.CachedFile(name)
		if err != nil {
			return err
		}
		err = filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(p)
			rel, _ := filepath.Rel(filepath.Dir(root), p)
			ctx.Emit(fmt.Sprintf("%s=%s %s %s.", name, rel, info.Mode(), text))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

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
		case "cached": // where its own is, and the names
			_, err := cached.Run(ctx, d, CachedParams{os.Args[2], os.Args[3:]})
			return err
		case "fail":
			return errors.New("the driver fails on purpose")
		case "nothing":
			return nil
		}
		return fmt.Errorf("unknown argument %q", do)
	})
}
