package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/ha"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// nothing is a cluster without slots, whose epoch log forgets.
type nothing struct{}

func (nothing) Declare(*rpcpb.JobInfo, int, int)        {}
func (nothing) Release(graph.JobID, string)             {}
func (nothing) Return(graph.JobID, string, []byte)      {}
func (nothing) Send(string, *rpcpb.ToTaskManager) error { return errors.New("not connected") }
func (nothing) Append(context.Context, ha.Record) error { return nil }
func (nothing) Check(context.Context) error             { return nil }
func (nothing) Number() uint64                          { return 1 }

// archive notes what it gets.
type archive struct{ got chan JobDetails }

func (a archive) Archive(_ context.Context, d *JobDetails, r *linkpb.JobResult) error {
	a.got <- *d
	return errors.New("the directory can't be written")
}

func newDispatcher(t *testing.T, pairs map[string]string, edit func(*Config)) *Dispatcher {
	t.Helper()
	c, err := conf.FromMap(pairs)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Conf: c, Slots: nothing{}, TaskManagers: nothing{}, Log: nothing{}, Logger: slog.New(slog.DiscardHandler), Fatal: func(error) {}}
	if edit != nil {
		edit(&config)
	}
	d, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *Dispatcher) cancelled(t *testing.T, i byte) graph.JobID {
	t.Helper()
	g := pipeline()
	g.JobId[15] = i
	jid, err := d.Submit(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Cancel(t.Context(), jid); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Await(t.Context(), jid); err != nil || r.GetStatus() != linkpb.JobStatus_CANCELED {
		t.Fatalf("result %v, %v", r, err)
	}
	return jid
}

func TestStoreIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := archive{make(chan JobDetails, 10)}
		d := newDispatcher(t, map[string]string{"jobstore.max-capacity": "2", "jobstore.expiration-time": "60"}, func(c *Config) { c.Archive = a })
		first := d.cancelled(t, 1)
		time.Sleep(time.Second)
		d.cancelled(t, 2)
		time.Sleep(time.Second)
		last := d.cancelled(t, 3)
		if jobs := d.Jobs(); len(jobs) != 2 || jobs[0].ID != last {
			t.Errorf("jobs %v, want the last two, newest first", jobs)
		}
		if _, err := d.Await(t.Context(), first); !errors.Is(err, ErrUnknownJob) {
			t.Errorf("Await of a forgotten job: %v, want ErrUnknownJob", err)
		}
		if got := <-a.got; got.ID != first || got.Status != linkpb.JobStatus_CANCELED {
			t.Errorf("archived %v", got.JobSummary)
		}
		time.Sleep(61 * time.Second)
		if _, ok := d.Job(last); ok || len(d.Jobs()) != 0 {
			t.Error("jobs outlive jobstore.expiration-time")
		}
		d.Shutdown(t.Context(), resourcemanager.StatusSucceeded)
	})
}

func TestAwaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(t, nil, nil)
		jid, err := d.Submit(t.Context(), pipeline())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := d.Await(ctx, jid); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await: %v", err)
		}
		if r, ok := d.Result(jid); r != nil || !ok {
			t.Errorf("result %v, %v of a job that runs", r, ok)
		}
		d.Shutdown(t.Context(), resourcemanager.StatusUndefined)
		if r, ok := d.Result(jid); r != nil || !ok {
			t.Errorf("result %v, %v of a suspended job", r, ok)
		}
	})
}

func TestConfigurationOfJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(t, map[string]string{"slot.request.timeout": "1 h"}, nil)
		g := pipeline()
		g.Config = map[string]string{"slot.request.timeout": "soon"}
		if _, err := d.Submit(t.Context(), g); !errors.Is(err, ErrInvalidGraph) {
			t.Errorf("a bad value: %v, want ErrInvalidGraph", err)
		}
		g.Config["slot.request.timeout"] = "7 s"
		jid, err := d.Submit(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if r, err := d.Await(t.Context(), jid); err != nil || r.GetStatus() != linkpb.JobStatus_FAILED || time.Since(began) != 7*time.Second {
			t.Errorf("after %s: %v, %v; the job's own configuration says 7 s", time.Since(began), r, err)
		}
		d.Shutdown(t.Context(), resourcemanager.StatusSucceeded)
	})
}

func TestBrokenRecords(t *testing.T) {
	g := pipeline()
	good, err := proto.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]ha.Record{
		"key":     {Kind: ha.KindJobRegistry, Key: "x", Payload: good},
		"payload": {Kind: ha.KindJobResult, Key: g.ID().String(), Payload: []byte{0xff}},
	} {
		if _, err := readRecords([]ha.Record{r}); err == nil {
			t.Errorf("%s: a broken record was accepted", name)
		}
	}
	r, err := readRecords([]ha.Record{{Kind: ha.KindAddress, Key: "jobmanager"}, {Kind: ha.KindJobRegistry, Key: g.ID().String(), Payload: good}})
	if err != nil || len(r.unfinished()) != 1 {
		t.Errorf("%v, %d unfinished jobs, want 1", err, len(r.unfinished()))
	}
}
