package dispatcher

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// declared keeps the job that slots are declared for.
type declared struct {
	nothing
	job chan *rpcpb.JobInfo
}

func (d declared) Declare(i *rpcpb.JobInfo, _, _ int) {
	if i.GetGraph() == nil {
		return // it needs none any more
	}
	select {
	case d.job <- i:
	default:
	}
}

// TestCachedFilesOutliveTheJobManager: TaskManagers of the next JobManager fetch what those of the first one did, whatever a
// driver that runs again says.
func TestCachedFilesOutliveTheJobManager(t *testing.T) {
	log := &memoryLog{}
	slots := declared{job: make(chan *rpcpb.JobInfo, 1)}
	start := func() *Dispatcher {
		return newDispatcher(t, nil, func(c *Config) {
			c.Log, c.Records, c.Reattach, c.Slots = log, append([]ha.Record(nil), log.records...), true, slots
		})
	}
	g := pipeline()
	g.Definition, g.Key = "words", "#1"
	files := []*graph.CachedFile{{Name: "f", Uri: "hdfs:///staging/cache/f", Sha256: make([]byte, 32), Size: 3, Executable: true, FileName: "f"}}
	g.CachedFiles = files
	first := start()
	if first.Recovered(g) {
		t.Error("a job that is new is said to run already")
	}
	if _, err := first.Submit(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	<-slots.job
	first.Shutdown(t.Context(), resourcemanager.StatusUndefined)
	select {
	case <-slots.job:
	default:
	}

	second := start()
	if err := second.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := proto.CloneOf(g)
	id := graph.NewJobID()
	again.JobId, again.CachedFiles = id[:], []*graph.CachedFile{{Name: "f", Uri: "file:///of/the/driver", FileName: "f"}}
	if !second.Recovered(again) {
		t.Error("a job of the earlier JobManager isn't known")
	}
	if got, err := second.Submit(t.Context(), again); err != nil || got != g.ID() {
		t.Fatalf("re-attached to %s, %v", got, err)
	}
	if got := (<-slots.job).GetGraph().GetCachedFiles(); len(got) != 1 || !proto.Equal(got[0], files[0]) {
		t.Errorf("the job has %v", got)
	}
	second.Shutdown(t.Context(), resourcemanager.StatusUndefined)
}
