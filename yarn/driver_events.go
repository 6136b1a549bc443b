package yarn

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/resourcemanager"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/nm"
)

// onEvent is called on the heartbeat's goroutine and must not block.
func (d *Driver) onEvent(e amrm.Event) {
	switch e := e.(type) {
	case amrm.Registered:
		d.onRegistered(e)
	case amrm.NMTokensReceived:
		d.pool.SetTokens(e.Tokens...)
	case amrm.Allocated:
		d.onAllocated(e.Containers)
	case amrm.Recovered:
		d.giveBack(e.Containers)
	case amrm.SurplusReleased:
		d.onSurplus(e.Containers)
	case amrm.Completed:
		d.onCompleted(e.Statuses)
	case amrm.NodesUpdated:
		d.onNodes(e.Nodes)
	case amrm.WantsRefused:
		d.onRefused(e)
	case amrm.CallFailed:
		d.onCallFailed(e)
	case amrm.ShutdownRequested:
		d.c.Log.Error("YARN has ended this application attempt", "error", e.Err)
	}
}

func (d *Driver) onRegistered(e amrm.Registered) {
	d.mu.Lock()
	d.trouble = ""
	d.mu.Unlock()
	d.c.Log.Info("registered with YARN", "queue", e.Queue, "maximum", e.MaximumCapability.String(), "again", e.Resync)
	if !e.Resync {
		d.giveBack(e.Containers)
		close(d.registered)
	}
}

// giveBack releases containers of an earlier attempt.
func (d *Driver) giveBack(containers []records.Container) {
	if len(containers) == 0 {
		return
	}
	d.c.Log.Info("released containers of an earlier attempt", "containers", ids(containers))
	for _, c := range containers {
		d.session.Release(c.ID)
	}
}

// onAllocated reports grants and starts the containers aside: that takes tens of milliseconds each.
func (d *Driver) onAllocated(containers []records.Container) {
	d.mu.Lock()
	events, ctx, closing := d.events, d.runCtx, d.closing
	var fresh []records.Container
	for _, c := range containers {
		if closing || int(c.Priority) < 1 || int(c.Priority) > len(d.specs) {
			d.session.Release(c.ID)
			continue
		}
		fresh = append(fresh, c)
		d.workers[c.ID] = &worker{container: c, granted: time.Now()}
		delete(d.returned, int(c.Priority))
		if p := int(c.Priority); d.declared[p] > 1 {
			d.declared[p]--
		} else {
			delete(d.declared, p)
		}
	}
	d.since = time.Now()
	d.granted = d.since
	specs := d.specs
	d.mu.Unlock()
	if len(fresh) > 0 {
		d.session.Hurry(earlyEnd)
	}
	for _, c := range fresh {
		spec := specs[c.Priority-1]
		// The ResourceManager logs the same event, as its worker.
		d.c.Log.Debug("container granted", "container", c.ID.String(), "node", c.Node.String(), "size", c.Resource.String())
		events.Granted(c.ID.String(), c.Node.Host, spec)
		d.mu.Lock()
		d.wg.Go(func() { d.launch(ctx, c, spec) })
		d.mu.Unlock()
	}
	d.say("")
}

// onSurplus tells of containers that were returned as nobody wanted them. Now and then that is in order: the need shrinks
// while YARN allocates. If it goes on without any grant that fits, YARN gives something else than was asked for, over and
// over: that is said once.
func (d *Driver) onSurplus(containers []records.Container) {
	byPriority := map[int][]records.Container{}
	for _, c := range containers {
		byPriority[int(c.Priority)] = append(byPriority[int(c.Priority)], c)
	}
	for _, p := range slices.Sorted(maps.Keys(byPriority)) {
		d.mu.Lock()
		d.returned[p]++
		times, count, wanted := d.returned[p], d.declared[p], "nothing"
		if p >= 1 && p <= len(d.specs) {
			wanted = capability(d.specs[p-1]).String()
		}
		d.mu.Unlock()
		switch of := byPriority[p]; {
		case times <= returnedQuietly:
			d.c.Log.Info("returned containers that nobody wants any more", "containers", ids(of))
		case times == returnedQuietly+1:
			d.c.Log.Warn("YARN goes on granting containers that aren't wanted, and none that is; they are returned, which isn't logged any more",
				"priority", p, "granted", sizes(of), "wanted", wanted, "count", count)
		default:
			d.c.Log.Debug("returned containers that nobody wants", "containers", ids(of), "granted", sizes(of))
		}
	}
}

// launch starts one container; the NodeManager pool bounds how many at once.
func (d *Driver) launch(ctx context.Context, c records.Container, spec resourcemanager.WorkerSpec) {
	launch, err := d.c.Launch(c, spec)
	if err == nil {
		started := time.Now()
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		err = d.pool.StartContainer(ctx, nm.StartRequest{Container: c, Launch: launch})
		cancel()
		d.c.Log.Debug("start container", "container", c.ID.String(), "took", time.Since(started), "error", err)
	}
	d.mu.Lock()
	w, events := d.workers[c.ID], d.events
	failed := err != nil && w != nil
	if failed {
		delete(d.workers, c.ID)
		d.session.Release(c.ID)
		d.startFailed(c.Node.Host)
	} else if w != nil && w.released && !d.closing {
		d.goStop(c) // the stop may have come before the start
	}
	released := w != nil && w.released
	d.mu.Unlock()
	if !failed || ctx.Err() != nil {
		return
	}
	end := resourcemanager.WorkerEnd{Kind: resourcemanager.EndFailed,
		Diagnostics: fmt.Sprintf("the container could not be started on %s: %s", c.Node, err)}
	if released {
		end = resourcemanager.WorkerEnd{Kind: resourcemanager.EndReleased}
	}
	d.c.Log.Warn("container not started", "container", c.ID.String(), "node", c.Node.String(), "error", err)
	events.Ended(c.ID.String(), end)
}

func (d *Driver) onCompleted(statuses []records.ContainerStatus) {
	for _, s := range statuses {
		d.mu.Lock()
		w, events := d.workers[s.ID], d.events
		delete(d.workers, s.ID)
		if w == nil {
			d.mu.Unlock()
			continue // it failed to start, or an earlier attempt's
		}
		end := endOf(s, w.released)
		if end.Kind == resourcemanager.EndFailed && time.Since(w.granted) < earlyEnd {
			d.startFailed(w.container.Node.Host)
		}
		d.mu.Unlock()
		d.c.Log.Debug("container ended", "container", s.ID.String(), "node", w.container.Node.String(), "end", end.String())
		events.Ended(s.ID.String(), end)
	}
}

// endOf says in the ResourceManager's words how a container ended.
func endOf(s records.ContainerStatus, released bool) resourcemanager.WorkerEnd {
	end := resourcemanager.WorkerEnd{Kind: resourcemanager.EndFailed, ExitCode: int(s.ExitStatus), Diagnostics: tail(s.Diagnostics, 4<<10)}
	switch {
	case released, s.ExitStatus == records.ExitKilledByAppMaster, s.ExitStatus == records.ExitKilledAfterAppCompletion:
		end.Kind = resourcemanager.EndReleased
	case s.ExitStatus == records.ExitPreempted, s.ExitStatus == records.ExitKilledByResourceManager,
		s.ExitStatus == records.ExitKilledByContainerScheduler:
		end.Kind = resourcemanager.EndPreempted
	case s.ExitStatus == records.ExitAborted, s.ExitStatus == records.ExitDisksFailed:
		end.Kind = resourcemanager.EndNodeLost
	case s.ExitStatus == records.ExitKilledExceededPMem, s.ExitStatus == records.ExitKilledExceededVMem:
		end.Diagnostics = "YARN killed the container because it used more memory than it was given; " +
			"raise taskmanager.memory.process.size: " + end.Diagnostics
	case s.ExitStatus == records.ExitKilledForExcessLogs:
		end.Diagnostics = "YARN killed the container because it logged too much: " + end.Diagnostics
	case s.ExitStatus == records.ExitInvalid:
		end.Diagnostics = "the node could not prepare the container's files: " + end.Diagnostics
	}
	return end
}

// onNodes keeps the list that containers are spread over. What runs on a lost node is reported by YARN, one by one.
func (d *Driver) onNodes(nodes []records.NodeReport) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range nodes {
		switch {
		case n.State == records.NodeNew || n.State == records.NodeRunning:
			if _, known := d.nodes[n.Node.Host]; !known || n.Rack != "" {
				d.nodes[n.Node.Host] = amrm.NodeHost{Host: n.Node.Host, Rack: n.Rack}
			}
		default:
			delete(d.nodes, n.Node.Host)
			if !n.State.Usable() {
				d.pool.Forget(n.Node)
			}
			d.c.Log.Warn("node can't be used", "node", n.Node.String(), "state", n.State.String(), "health", n.HealthReport)
		}
	}
	if len(d.declared) > 0 && !d.closing {
		d.ask()
	}
}

// onRefused ends the cluster: it asks for containers of one size only, and YARN will never grant one.
func (d *Driver) onRefused(e amrm.WantsRefused) {
	d.mu.Lock()
	events := d.events
	size := ""
	for _, w := range e.Wants {
		delete(d.declared, w.Priority)
		size = w.Capability.String()
	}
	d.mu.Unlock()
	if events != nil {
		events.Fatal(fmt.Errorf("YARN will never grant a container of %s; lower taskmanager.memory.process.size or "+
			"yarn.containers.vcores: %w", size, e.Err))
	}
}

func (d *Driver) onCallFailed(e amrm.CallFailed) {
	d.mu.Lock()
	d.trouble, d.troubleAt = fmt.Sprintf("the YARN ResourceManager can't be reached: %s", e.Err), time.Now()
	d.mu.Unlock()
	if e.Failures&(e.Failures-1) == 0 { // 1, 2, 4, 8 …
		d.c.Log.Warn("call to the YARN ResourceManager failed, will be repeated", "failures", e.Failures, "error", e.Err)
	}
}

// explain finds out why containers don't come and says so, until ctx ends.
func (d *Driver) explain(ctx context.Context) {
	ticker := time.NewTicker(explainInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		d.mu.Lock()
		d.avoid()
		n, spec, waiting := 0, resourcemanager.WorkerSpec{}, time.Since(d.since)
		for _, p := range slices.Sorted(maps.Keys(d.declared)) {
			n, spec = n+d.declared[p], d.specs[p-1]
		}
		trouble := d.currentTrouble()
		d.mu.Unlock()
		switch {
		case n == 0:
			d.say("")
		case waiting < explainInterval:
		case trouble != "":
			d.say(trouble)
		case d.c.Explain != nil:
			if why := d.c.Explain(ctx, n, capability(spec)); why != "" {
				d.say(why)
			}
		}
	}
}

// say reports a reason to wait, if it has changed.
func (d *Driver) say(reason string) {
	d.mu.Lock()
	events := d.events
	changed := d.reason != reason && events != nil
	if changed {
		d.reason = reason
	}
	d.mu.Unlock()
	if !changed {
		return
	}
	if reason != "" {
		d.c.Log.Warn("waiting for containers", "reason", reason)
	}
	events.Waiting(reason)
}

func ids(containers []records.Container) string {
	var out []string
	for _, c := range containers {
		out = append(out, c.ID.String())
	}
	return strings.Join(out, " ")
}

// sizes are the sizes of containers, each once.
func sizes(containers []records.Container) string {
	var out []string
	for _, c := range containers {
		if size := c.Resource.String(); !slices.Contains(out, size) {
			out = append(out, size)
		}
	}
	return strings.Join(out, " ")
}

func sortedNodes(nodes map[string]amrm.NodeHost) []amrm.NodeHost {
	return slices.SortedFunc(maps.Values(nodes), func(a, b amrm.NodeHost) int { return cmp.Compare(a.Host, b.Host) })
}

// clip and tail shorten a text to at most n bytes, its beginning or its end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	return "…" + strings.ToValidUTF8(s[len(s)-n+len("…"):], "")
}
