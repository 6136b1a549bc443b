//go:build hadoop

package faults

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weftstream/weft/internal/hadooptest"
	"github.com/weftstream/weft/internal/soak"
	"github.com/weftstream/weft/internal/usertest"
)

// restarting are options of an application that checkpoints often and goes on after any failure.
func restarting(c *hadooptest.Cluster, dir string) []string {
	return []string{"-Dexecution.checkpointing.interval=300ms", "-Dexecution.checkpointing.dir=" + c.URI(dir+"/checkpoints"),
		"-Drestart-strategy.type=fixed-delay", "-Drestart-strategy.fixed-delay.attempts=1000",
		"-Drestart-strategy.fixed-delay.delay=100ms", "-Dyarn.application-attempts=10"}
}

// countsOf checks what counts has written: every pair of a remainder and a count, once.
func countsOf(t testing.TB, c *hadooptest.Cluster, dir string, events, keys int64) {
	t.Helper()
	seen := map[string]int{}
	for _, name := range visible(t, c, dir) {
		for line := range strings.Lines(string(c.ReadFile(t, name))) {
			seen[strings.TrimSuffix(line, "\n")]++
		}
	}
	missing, twice := 0, 0
	for r := range keys {
		for n := int64(1); n <= (events-r+keys-1)/keys; n++ {
			line := strconv.FormatInt(r, 10) + "\t" + strconv.FormatInt(n, 10)
			switch seen[line] {
			case 0:
				missing++
			case 1:
			default:
				twice++
			}
			delete(seen, line)
		}
	}
	if missing+twice+len(seen) > 0 {
		t.Errorf("of %d lines %d are missing, %d are there more than once, and %d others are there", events, missing, twice, len(seen))
	}
}

// TestExactlyOnce: while an application writes, its processes are killed one after another, any of them; every record is
// in its output once.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	random := soak.Dice(t)
	runs, kills := 2, 4
	if soak.On() {
		runs, kills = 20, 12
	}
	for i := range runs {
		seeds := rand.NewPCG(random.Uint64(), random.Uint64())
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			exactlyOnce(t, c, rand.New(seeds), kills)
		})
	}
}

func exactlyOnce(t *testing.T, c *hadooptest.Cluster, random *rand.Rand, kills int) {
	const events, keys = 12_000, 100
	u := newUser(t, c)
	dir := c.TestDir(t)
	rate := strconv.Itoa(events / (6 + 4*kills))
	w := u.submit(append([]string{"-p", "2"}, restarting(c, dir)...), usertest.App(t, "counts"), "--events", strconv.Itoa(events),
		"--keys", strconv.Itoa(keys), "--rate", rate, "--output", c.URI(dir+"/out"))
	id := w.App()
	running(w)
	killed := 0
	for range kills {
		silence(time.Duration(500+random.IntN(3000)) * time.Millisecond)
		role := []string{usertest.TaskHost, usertest.TaskHost, usertest.TaskManager, usertest.JobManager}[random.IntN(4)]
		victims := u.Processes(id, role)
		if len(victims) == 0 {
			continue // it is being restarted, or has ended
		}
		v := victims[random.IntN(len(victims))]
		t.Logf("kill %s %d", role, v.PID)
		if syscall.Kill(v.PID, syscall.SIGKILL) == nil {
			killed++
		}
	}
	w.Wait()
	u.YARNSays(id, "SUCCEEDED")
	if killed == 0 {
		t.Error("nothing was killed")
	}
	countsOf(t, c, dir+"/out", events, keys)
	c.AwaitNoProcesses(t, id, time.Minute)
}

// TestSavepoint: an application is stopped with a savepoint and goes on from it with another parallelism; together they
// write every record once.
func TestSavepoint(t *testing.T) {
	t.Parallel()
	c := hadooptest.Require(t)
	u := newUser(t, c)
	dir := c.TestDir(t)
	const events, keys = 6000, 50
	program := []string{usertest.App(t, "counts"), "--events", strconv.Itoa(events), "--keys", strconv.Itoa(keys), "--rate", "1000",
		"--output", c.URI(dir + "/out")}
	options := restarting(c, dir)
	first := u.submit(append([]string{"-p", "2"}, options...), program...)
	id := first.App()
	job := running(first)
	hadooptest.Await(t, usertest.Patience, "something is committed", func() (bool, string) { return len(visible(t, c, dir+"/out")) > 0, "" })
	stop := u.Start("stop", "-t", "yarn-application", "-Dyarn.application.id="+id, "-p", c.URI(dir+"/savepoints"), job)
	stop.Ended(0, `Savepoint completed. Path: hdfs://`)
	first.Ended(0, "has finished")
	u.YARNSays(id, "SUCCEEDED")
	_, path, _ := strings.Cut(stop.Says(`Path: \S+`), "Path: ")

	second := u.submit(append([]string{"-p", "3", "-s", path}, options...), program...)
	id = second.App()
	second.Ended(0, "has finished")
	u.YARNSays(id, "SUCCEEDED")
	countsOf(t, c, dir+"/out", events, keys)
	c.AwaitNoProcesses(t, id, time.Minute)
}
