package hadooptest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Process is a process of a container.
type Process struct {
	PID, Parent int
	Args        []string
	// Application is the id of the application the process belongs to; "" if neither its environment, nor its working
	// directory, nor its ancestors tell.
	Application string
	// Container is the container's id, or "" like Application.
	Container string
}

func (p Process) String() string {
	return fmt.Sprintf("process %d (parent %d) of %s: %s", p.PID, p.Parent, p.Container, strings.Join(p.Args, " "))
}

var (
	containerPattern = regexp.MustCompile(`container_(?:e\d+_)?(\d+)_(\d+)_\d+_\d+`)
	appPattern       = regexp.MustCompile(`application_\d+_\d+`)
)

// Processes lists the live processes of all containers on this cluster's nodes: those whose environment or working
// directory points into the cluster's data, and all their descendants. With an id, only those of that application.
func (c *Cluster) Processes(t testing.TB, application string) []Process {
	t.Helper()
	all, err := scan(filepath.Join(c.Dir, "data")+"/", "-Dweft.hadoop.dir="+c.Dir)
	if err != nil {
		t.Fatalf("list the processes: %v", err)
	}
	if application == "" {
		return all
	}
	return slices.DeleteFunc(all, func(p Process) bool { return p.Application != application })
}

// AwaitNoProcesses waits until no process of an application is left, or of any if the id is "", and fails the test, naming
// those that are, after the time. YARN takes a moment to end containers after it reports an application's end.
func (c *Cluster) AwaitNoProcesses(t testing.TB, application string, within time.Duration) {
	t.Helper()
	Await(t, within, "no process of "+application+" is left", func() (bool, string) {
		left := c.Processes(t, application)
		return len(left) == 0, fmt.Sprint(left)
	})
}

// scan looks through /proc. Processes with the argument notOurs, Hadoop's own, are left out, but not their descendants.
func scan(data, notOurs string) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := map[int]Process{}
	daemon := map[int]bool{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		p, alive := inspect(pid, data)
		if !alive {
			continue
		}
		found[pid] = p
		daemon[pid] = slices.Contains(p.Args, notOurs)
	}
	var ours []Process
	for pid, p := range found {
		if daemon[pid] {
			continue
		}
		if belongs(&p, found, daemon) {
			ours = append(ours, p)
		}
	}
	slices.SortFunc(ours, func(a, b Process) int { return a.PID - b.PID })
	return ours, nil
}

// outside marks, in Container, a process that inspect found no tie to the cluster for.
const outside = "-"

// belongs looks for a tie to the cluster in a process and its ancestors, and completes its ids from there. A direct child
// of a NodeManager is a container on its way up.
func belongs(p *Process, all map[int]Process, daemon map[int]bool) bool {
	tied := false
	seen := map[int]bool{} // pids are read one after another: a reused one may close a circle
	ancestor := *p
	p.Container, p.Application = "", ""
	for !seen[ancestor.PID] {
		seen[ancestor.PID] = true
		if ancestor.Container != outside {
			tied = true
			if p.Container == "" {
				p.Container = ancestor.Container
			}
			if p.Application == "" {
				p.Application = ancestor.Application
			}
		}
		if daemon[ancestor.Parent] {
			tied = true
			break
		}
		next, ok := all[ancestor.Parent]
		if !ok {
			break
		}
		ancestor = next
	}
	return tied
}

// inspect reads one process; it is not alive if it ended meanwhile or is a zombie.
func inspect(pid int, data string) (Process, bool) {
	root := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(root, "stat"))
	if err != nil {
		return Process{}, false
	}
	// The command's name, in brackets, may hold spaces and brackets.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 5 || fields[0] == "Z" || fields[0] == "X" {
		return Process{}, false
	}
	p := Process{PID: pid, Container: outside}
	hasTerminal := fields[4] != "0" // a person's, looking around
	p.Parent, _ = strconv.Atoi(fields[1])
	cmdline, _ := os.ReadFile(filepath.Join(root, "cmdline"))
	p.Args = strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	// Other users' processes can't be read: they aren't ours.
	environment, _ := os.ReadFile(filepath.Join(root, "environ"))
	directory, _ := os.Readlink(filepath.Join(root, "cwd"))
	if hasTerminal || !strings.HasPrefix(directory+"/", data) && !bytes.Contains(environment, []byte("="+data)) {
		return p, true
	}
	p.Container = ""
	for _, text := range []string{directory, string(environment)} {
		if p.Container == "" {
			p.Container = containerPattern.FindString(text)
		}
		if p.Application == "" {
			p.Application = appPattern.FindString(text)
		}
	}
	if ids := containerPattern.FindStringSubmatch(p.Container); ids != nil {
		p.Application = "application_" + ids[1] + "_" + ids[2]
	}
	return p, true
}
