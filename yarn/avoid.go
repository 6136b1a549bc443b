package yarn

import (
	"slices"
	"time"
)

const (
	// earlyEnd is how soon after its grant a container's failure counts as one of its node.
	earlyEnd = 30 * time.Second
	// maxFailedStarts is how many containers may fail on a node in avoidTime before no more are asked for there.
	maxFailedStarts = 2
	avoidTime       = time.Minute
)

// avoided remembers, by host, when containers failed to start. A node whose containers end at once reports that at once,
// and YARN gives the next container to the node that it hears from first: without this to that very node, time after time.
type avoided map[string][]time.Time

// failed notes a failed start.
func (a avoided) failed(host string, now time.Time) { a[host] = append(a[host], now) }

// hosts lists those to avoid, sorted.
func (a avoided) hosts(now time.Time) []string {
	var hosts []string
	for host, times := range a {
		times = slices.DeleteFunc(times, func(t time.Time) bool { return now.Sub(t) >= avoidTime })
		if a[host] = times; len(times) == 0 {
			delete(a, host)
		} else if len(times) >= maxFailedStarts {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// startFailed notes a failed start. The mutex is held.
func (d *Driver) startFailed(host string) {
	d.avoided.failed(host, time.Now())
	d.avoid()
}

// avoid tells YARN which nodes to leave out. When starts fail on all of them the nodes are not the reason, and none is. The
// mutex is held.
func (d *Driver) avoid() {
	hosts := d.avoided.hosts(time.Now())
	if len(hosts) >= len(d.nodes) {
		clear(d.avoided)
		hosts = nil
	}
	if slices.Equal(hosts, d.blacklist) || d.closing {
		return
	}
	d.c.Log.Warn("nodes on which containers fail to start are avoided for a while", "nodes", hosts)
	d.blacklist = hosts
	d.session.SetBlacklist(hosts)
}
