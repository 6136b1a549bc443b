//go:build linux

package failover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weftstream/weft/connector/datagen"
	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/stream"
)

// params are the job's: it counts by key, and writes each count into two directories, by two sinks.
type params struct {
	Events, Keys int64
	Rate         float64
	Outputs      [2]string
	// Trouble is a file that the first subtask to see FailAt makes, and then panics; "": none does.
	Trouble string
	FailAt  int64
}

type tally struct {
	n *stream.Value[int64]
	p params
}

func (c *tally) Element(ctx *stream.Context[int64, string], i int64) error {
	if c.p.Trouble != "" && i == c.p.FailAt {
		if f, err := os.OpenFile(c.p.Trouble, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			f.Close()
			panic("trouble")
		}
	}
	n, _ := c.n.Get()
	c.n.Set(n + 1)
	ctx.Emit(strconv.FormatInt(ctx.Key, 10) + "\t" + strconv.FormatInt(n+1, 10))
	return nil
}

var counting = stream.Define("counting", func(env *stream.Env, p params) error {
	numbers := stream.From(env, datagen.New(p.Events, func(*stream.Runtime) func(int64) int64 {
		return func(i int64) int64 { return i }
	}, datagen.Rate(p.Rate))).UID("numbers")
	byRemainder := stream.KeyBy(numbers, func(n int64) int64 { return n % p.Keys })
	counts := stream.Process(byRemainder, func(rt *stream.Runtime) *tally { return &tally{stream.ValueState[int64](rt, "n"), p} }).UID("tally")
	counts.To(file.Text(p.Outputs[0])).UID("first")
	counts.To(file.Text(p.Outputs[1])).UID("second")
	return nil
})

// parallelism is the job's; a TaskManager has one slot.
const parallelism = 2

// jobGraph is the job as its driver would submit it, each time anew.
func jobGraph(p params) (*graph.JobGraph, error) {
	built, err := counting.Graph(p)
	if err != nil {
		return nil, err
	}
	g, err := graph.JobGraphOf(built, graph.Options{Parallelism: parallelism})
	if err != nil {
		return nil, err
	}
	if g.Params, err = json.Marshal(p); err != nil {
		return nil, err
	}
	id := graph.NewJobID()
	g.JobId, g.Definition, g.Key = id[:], counting.Name(), "#1"
	g.Artifact = &graph.Artifact{Name: "failover", Sha256: make([]byte, 32)}
	return g, nil
}

// everyCountOnce checks what readers of an output see: each pair of a key and a count is there once.
func everyCountOnce(t *testing.T, dir string, p params) {
	t.Helper()
	seen := map[string][]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name != dir {
			return nil // a hidden part that was there when the directory was listed
		}
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		b, err := os.ReadFile(name)
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSuffix(line, "\n")
			seen[line] = append(seen[line], e.Name())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	missing, more := 0, 0
	for i := range p.Events {
		line := fmt.Sprintf("%d\t%d", i%p.Keys, i/p.Keys+1)
		switch n := len(seen[line]); {
		case n == 0:
			missing++
		case n > 1:
			if more++; more == 1 {
				t.Errorf("%s: %q is there %d times: in %s", filepath.Base(dir), line, n, seen[line])
			}
		}
	}
	if missing > 0 || more > 0 || len(seen) != int(p.Events) {
		t.Errorf("%s: of %d records %d are missing and %d there more than once; there are %d different ones",
			filepath.Base(dir), p.Events, missing, more, len(seen))
	}
}
