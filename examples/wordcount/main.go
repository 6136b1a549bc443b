// Command wordcount counts the words of text files: runs of ASCII letters and digits, lower-cased. Its output is a line
// word<TAB>count for every word.
//
//	wordcount [--input path,…] [--output directory]
//
// Without --input it counts the words of a text that it brings along, without --output it prints.
package main

import (
	"context"
	"flag"
	"os"
	"strconv"
	"strings"

	"github.com/weftstream/weft/connector/console"
	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/stream"
)

// Params are the job's: a comma-separated list of files, directories and patterns, and a directory.
type Params struct{ Input, Output string }

// Count says how often a word was seen.
type Count struct {
	Word string
	N    int64
}

var wordcount = stream.Define("wordcount", func(env *stream.Env, p Params) error {
	words := stream.FlatMap(lines(env, p.Input).UID("lines"), split).UID("words")
	counts := stream.KeyBy(words, func(c Count) string { return c.Word }).
		Window(stream.AtEnd()).
		Reduce(func(a, b Count) Count { a.N += b.N; return a }).UID("counts")
	text := stream.Map(counts, func(c Count) string { return c.Word + "\t" + strconv.FormatInt(c.N, 10) }).UID("text")
	if p.Output == "" {
		text.To(console.Print[string]()).UID("print")
		return nil
	}
	text.To(file.Text(p.Output)).UID("output")
	return nil
})

func lines(env *stream.Env, input string) stream.Stream[string] {
	if input == "" {
		return stream.From(env, datagen.New(int64(len(text)), func(*stream.Runtime) func(int64) string {
			return func(i int64) string { return text[i] }
		}))
	}
	return stream.From(env, file.Lines(strings.Split(input, ",")...))
}

// split emits the words of a line. It copies the line only to make capitals small, and the words share its memory.
func split(line string, emit func(Count)) {
	line = lower(line)
	start := -1
	for i := range len(line) {
		switch c := line[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			if start < 0 {
				start = i
			}
		case start >= 0:
			emit(Count{line[start:i], 1})
			start = -1
		}
	}
	if start >= 0 {
		emit(Count{line[start:], 1})
	}
}

// lower makes ASCII capitals small, and leaves everything else as it is.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c < 'A' || c > 'Z' {
			continue
		}
		b := []byte(s)
		for ; i < len(b); i++ {
			if c := b[i]; c >= 'A' && c <= 'Z' {
				b[i] = c + 'a' - 'A'
			}
		}
		return string(b)
	}
	return s
}

func main() {
	stream.Main(func(ctx context.Context, d *stream.Driver) error {
		var p Params
		flags := flag.NewFlagSet("wordcount", flag.ContinueOnError)
		flags.StringVar(&p.Input, "input", "", "files, directories and patterns to read, separated by commas")
		flags.StringVar(&p.Output, "output", "", "directory to write; it must be empty or missing")
		if err := flags.Parse(os.Args[1:]); err != nil {
			return err
		}
		_, err := wordcount.Run(ctx, d, p)
		return err
	})
}
