package stream_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weftstream/weft/stream"
	"github.com/weftstream/weft/streamtest"
)

// names puts the name of each country in the place of its code. It reads the file once a subtask, with the first record.
type names struct {
	rt     *stream.Runtime
	byCode map[string]string
}

func (n *names) Element(ctx *stream.Context[stream.NoKey, string], code string) error {
	if n.byCode == nil {
		path, err := n.rt.CachedFile("countries")
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n.byCode = map[string]string{}
		for line := range strings.Lines(string(text)) {
			code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			n.byCode[code] = name
		}
	}
	ctx.Emit(n.byCode[code])
	return nil
}

// A file that all tasks read comes with the job. `weft run` uploads it from the client's machine; an hdfs: URI would be
// fetched from there.
func ExampleEnv_CachedFile() {
	results := streamtest.Collect[string]()
	job := stream.Define("example-countries", func(env *stream.Env, countries string) error {
		env.CachedFile("countries", countries)
		codes := stream.From(env, streamtest.From("pt", "fi", "pt"))
		stream.ProcessEach(codes, func(rt *stream.Runtime) *names { return &names{rt: rt} }).To(results)
		return nil
	})

	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "countries.txt")
	if err := os.WriteFile(file, []byte("fi Finland\npt Portugal\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	driver := stream.NewLocalDriver(stream.LocalOptions{})
	defer driver.Close()
	if _, err := job.Run(context.Background(), driver, file); err != nil {
		fmt.Println(err)
	}
	found := results.Records()
	slices.Sort(found)
	fmt.Println(found)
	// Output:
	// [Finland Portugal Portugal]
}
