package standalone

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/entrypoint"
	"github.com/weftstream/weft/internal/testkit"
)

// running is one of a cluster's processes, in this one.
type running struct {
	stop context.CancelFunc
	code chan int
}

func (r *running) end(t *testing.T, what string) {
	t.Helper()
	r.stop()
	select {
	case code := <-r.code:
		if code != entrypoint.ExitOK {
			t.Errorf("%s ended with %d", what, code)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not end", what)
	}
}

func start(t *testing.T, run func(context.Context) (int, error)) *running {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := &running{cancel, make(chan int, 1)}
	go func() {
		code, err := run(ctx)
		if err != nil {
			t.Error(err)
		}
		r.code <- code
	}()
	return r
}

func startJobManager(t *testing.T, c conf.Configuration) *running {
	t.Helper()
	jm, err := OpenJobManager(c, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { jm.Close() })
	return start(t, func(ctx context.Context) (int, error) { return entrypoint.RunJobManager(ctx, jm) })
}

// awaitTaskManagers waits until n TaskManagers have registered.
func awaitTaskManagers(t *testing.T, c conf.Configuration, n int) {
	t.Helper()
	id := fmt.Sprintf("localhost:%d", conf.Get(c, conf.RestPort))
	d, err := Provider{}.Descriptor(c, client.Environment{Getenv: noEnv})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cluster, err := d.Retrieve(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var last string
	defer func() {
		if t.Failed() {
			t.Log("last seen: ", last)
		}
	}()
	testkit.Eventually(t, fmt.Sprintf("%d TaskManagers", n), func() bool {
		rest, err := client.New(cluster.Endpoint, cluster.Token, client.WithConfiguration(c))
		if err != nil {
			t.Fatal(err)
		}
		o, err := rest.Overview(t.Context())
		rest.Close()
		last = fmt.Sprint(o, err)
		return err == nil && o.TaskManagers == n
	})
}

// freePorts are two that nothing listens on.
func freePorts(t *testing.T) (ports [2]string) {
	t.Helper()
	for i := range ports {
		l, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			t.Fatal(err)
		}
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
		l.Close()
	}
	return ports
}

// A TaskManager outlives its JobManager, also one that was told to end, and registers with the next.
func TestTaskManagerWaitsForTheNextJobManager(t *testing.T) {
	ports := freePorts(t)
	c := configuration(t, "jobmanager.rpc.port", ports[0], "rest.port", ports[1], "rest.retry.max-attempts", "0")
	first := startJobManager(t, c)
	p, err := OpenTaskManager(t.Context(), c, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	tm := start(t, func(ctx context.Context) (int, error) { return entrypoint.RunTaskManager(ctx, p) })
	awaitTaskManagers(t, c, 1)
	first.end(t, "the first JobManager")
	second := startJobManager(t, c)
	awaitTaskManagers(t, c, 1)
	select {
	case code := <-tm.code:
		t.Fatalf("the TaskManager ended with %d", code)
	default:
	}
	tm.end(t, "the TaskManager")
	second.end(t, "the second JobManager")
}
