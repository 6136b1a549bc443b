//go:build linux

package failover

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weftstream/weft/internal/soak"
)

// moment is when the older JobManager is continued.
type moment string

const (
	atOnce       moment = "at once"
	acquired     moment = "when the newer one has the log"
	allRunning   moment = "when the newer one's job runs"
	checkpointed moment = "when the newer one has completed a checkpoint"
	afterwards   moment = "when the newer one has ended"
)

// fault is what happens to the older JobManager.
type fault struct {
	at    step
	until moment
	// shared: the newer one has no TaskManagers of its own, but those that leave the older one. silence: they notice that
	// it is silent, and leave it while it is stopped.
	shared, silence bool
	// trouble: a subtask panics early, so that the job has been restarted before.
	trouble bool
}

func (f fault) String() string {
	s := fmt.Sprintf("before it does %q for the %d. time, continued %s", f.at.Label, f.at.Nth, f.until)
	for _, more := range []struct {
		is   bool
		text string
	}{{f.shared, "shared TaskManagers"}, {f.silence, "TaskManagers leave it"}, {f.trouble, "after a restart"}} {
		if more.is {
			s += ", " + more.text
		}
	}
	return s
}

// draw chooses what goes with a step.
func draw(random *rand.Rand, at step) fault {
	f := fault{at: at, shared: random.IntN(4) == 0, silence: random.IntN(2) == 0, trouble: random.IntN(2) == 0}
	moments := []moment{atOnce, acquired, allRunning, checkpointed, afterwards}
	if f.shared && !f.silence {
		moments = moments[:2] // the newer one gets no further without TaskManagers
	}
	f.until = moments[random.IntN(len(moments))]
	return f
}

// work takes a second or so.
func work(trouble bool) params {
	p := params{Events: 3000, Keys: 31, Rate: 3000}
	if trouble {
		p.Trouble, p.FailAt = "trouble", 400
	}
	return p
}

// TestTwoJobManagers stops a JobManager at a step, starts its successor, and continues it. In a soak it is every step that
// it takes in an undisturbed run.
func TestTwoJobManagers(t *testing.T) {
	random := soak.Dice(t)
	all := undisturbed(t)
	sample := 6
	if soak.On() {
		sample = len(all)
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if !soak.On() { // as many different ones as possible
		seen := map[string]int{}
		order := map[step]int{}
		for _, s := range all {
			order[s] = seen[s.Label]
			seen[s.Label]++
		}
		slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(order[a], order[b]) })
	}
	for i, at := range all[:sample] {
		f := draw(random, at)
		t.Run(strconv.Itoa(i), func(t *testing.T) { twoJobManagers(t, f) })
	}
}

// TestLateCommitOfALaterAttempt: what the older one's hosts commit at last is of an attempt that the newer one, which counts
// anew, has not come to. The newer one's parts are no leftovers nevertheless.
func TestLateCommitOfALaterAttempt(t *testing.T) {
	twoJobManagers(t, fault{at: step{"send a commit", 1}, until: checkpointed, trouble: true})
}

// undisturbed runs the job under one JobManager and returns the steps that it took.
func undisturbed(t *testing.T) []step {
	t.Helper()
	c := newCluster(t, work(false))
	a := c.jobManager("a", "address-a", nil, nil)
	c.taskManagers("a", "address-a", true)
	e := a.finished()
	for _, dir := range c.job.Outputs {
		everyCountOnce(t, dir, c.job)
	}
	var all []step
	for label, n := range e.Steps {
		for i := range n {
			all = append(all, step{label, i + 1})
		}
	}
	slices.SortFunc(all, func(a, b step) int { return cmp.Or(strings.Compare(a.Label, b.Label), cmp.Compare(a.Nth, b.Nth)) })
	t.Logf("%d steps: %v", len(all), e.Steps)
	return all
}

// finished waits until a JobManager has ended and its job has finished.
func (p *process) finished() (e end) {
	p.t.Helper()
	code := p.end()
	what, ok := p.heard("ended")
	if ok {
		if err := json.Unmarshal(what, &e); err != nil {
			p.t.Fatal(err)
		}
	}
	if why, _ := p.heard("failed"); code != exitOK || e.Status != "FINISHED" {
		p.t.Errorf("%s: exit code %d, the job is %q: %s", p.name, code, e.Status, why)
	}
	return e
}

func twoJobManagers(t *testing.T, f fault) {
	t.Log(f)
	c := newCluster(t, work(f.trouble))
	if f.trouble {
		c.job.Trouble = c.path(c.job.Trouble)
	}
	config := map[string]string{}
	if f.silence {
		config = map[string]string{"heartbeat.interval": "100 ms", "heartbeat.timeout": "1500 ms"}
	}
	addressA, addressB := "address-a", "address-b"
	if f.shared {
		addressB = addressA
	}
	a := c.jobManager("a", addressA, &f.at, config)
	c.taskManagers("a", addressA, !f.shared)
	if a.await("stops") == "" {
		t.Log("it came to its end before")
		a.finished()
		c.complete()
		return
	}
	a.stopped()
	if err := publish(c.path(addressA), ""); err != nil {
		t.Fatal(err)
	}
	_, err := os.Stat(c.job.Trouble)
	restarted := err == nil || c.job.Trouble == ""
	resume := func() {
		if err := publish(c.path("resume-a"), ""); err != nil {
			t.Fatal(err)
		}
		a.signal(syscall.SIGCONT)
	}
	if f.until == atOnce {
		resume()
	}
	b := c.jobManager("b", addressB, nil, nil)
	if !f.shared {
		c.taskManagers("b", addressB, true)
	}
	if f.until != atOnce {
		c.follow(b, f.until)
		resume()
	}
	e := b.finished()
	c.complete()
	if !f.shared && restarted && e.Attempt > 0 {
		t.Errorf("the newer one's job was restarted %d times", e.Attempt)
	}
	c.fenced(a, b, f)
	c.complete()
}

// follow waits for a moment of the newer JobManager's.
func (c *cluster) follow(b *process, m moment) {
	c.t.Helper()
	words := map[moment]string{acquired: "acquired", allRunning: "running", checkpointed: "checkpoint", afterwards: "ended"}
	b.await(words[m], "ended", "failed")
}

// complete checks both outputs.
func (c *cluster) complete() {
	c.t.Helper()
	for _, dir := range c.job.Outputs {
		everyCountOnce(c.t, dir, c.job)
	}
}

// fenced checks the end of the older JobManager. It may have brought the job to its end only where that was recorded before the
// newer one had the log.
func (c *cluster) fenced(a, b *process, f fault) {
	c.t.Helper()
	code := a.end()
	why, _ := a.heard("failed")
	found, _ := b.heard("acquired")
	switch {
	case code == exitFatal && strings.Contains(string(why), "fenced by a newer epoch"):
		c.t.Logf("its end: %s", why)
	case string(found) == "true":
	default:
		c.t.Errorf("the older one: exit code %d, %s", code, why)
	}
}
