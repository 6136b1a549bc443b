//go:build linux

package failover

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/weftstream/weft/connector/file"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/tally"
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

// fail panics at the record that says so, if no subtask has.
func (p params) fail(record int64) {
	if p.Trouble == "" || record != p.FailAt {
		return
	}
	if f, err := os.OpenFile(p.Trouble, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close()
		panic("trouble")
	}
}

var counting = stream.Define("counting", func(env *stream.Env, p params) error {
	numbers := stream.From(env, tally.Numbers(p.Events, p.Rate)).UID("numbers")
	byRemainder := stream.KeyBy(numbers, func(n int64) int64 { return n % p.Keys })
	counts := stream.Process(byRemainder, func(rt *stream.Runtime) *tally.Counter { return tally.NewCounter(rt, p.fail) }).UID("tally")
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
	if err := tally.EveryCountOnce(dir, p.Events, p.Keys); err != nil {
		t.Error(err)
	}
}
