package yarn

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/yarn/amrm"
)

type deaf struct{}

func (deaf) Granted(string, string, resourcemanager.WorkerSpec) {}
func (deaf) Ended(string, resourcemanager.WorkerEnd)            {}
func (deaf) Waiting(string)                                     {}
func (deaf) Fatal(error)                                        {}

// TestSurplusThatDoesNotEnd: containers of another size, over and over, are told of once with both sizes; a grant that
// fits begins the count again.
func TestSurplusThatDoesNotEnd(t *testing.T) {
	var log strings.Builder
	d, err := NewDriver(DriverConfig{
		Client: amrm.ClientConfig{Addresses: []string{"127.0.0.1:1"}, Token: hadoop.Token{Kind: hadoop.KindAMRMToken}}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Launch: func(records.Container, resourcemanager.WorkerSpec) (records.LaunchContext, error) {
			return records.LaunchContext{}, errors.New("no launch")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.events, d.runCtx = deaf{}, context.Background()
	d.Declare(resourcemanager.WorkerSpec{MemoryMB: 512, VCores: 2, Slots: 2}, 3)
	container := func(n int64, mb int64) records.Container {
		return records.Container{ID: records.ContainerID{ID: n}, Priority: 1, Resource: records.Resource{MemoryMB: mb, VCores: 1}}
	}
	const times = 50
	for i := range int64(times) {
		d.onEvent(amrm.SurplusReleased{Containers: []records.Container{container(i, 1024)}})
	}
	returned := func() int { return strings.Count(log.String(), "level=INFO msg=\"returned containers") }
	warned := func() int { return strings.Count(log.String(), "level=WARN") }
	if returned() != returnedQuietly || warned() != 1 {
		t.Errorf("%d times at INFO and %d warnings, want %d and 1", returned(), warned(), returnedQuietly)
	}
	granted, wanted := records.Resource{MemoryMB: 1024, VCores: 1}, records.Resource{MemoryMB: 512, VCores: 2}
	for _, want := range []string{granted.String(), wanted.String(), "count=3"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	d.onEvent(amrm.Allocated{Containers: []records.Container{container(times, 512)}})
	d.wg.Wait()
	log.Reset()
	for i := range int64(times) {
		d.onEvent(amrm.SurplusReleased{Containers: []records.Container{container(times+1+i, 1024)}})
	}
	if returned() != returnedQuietly || warned() != 1 {
		t.Errorf("after a grant: %d times at INFO and %d warnings", returned(), warned())
	}
	if t.Failed() {
		t.Logf("the log:\n%s", log.String())
	}
}
