//go:build linux

package taskmanager

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/internal/testkit"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/runtime/rpc/rpcpb"
)

// allocateWith allocates a slot to a job that has a cached file called f.
func (j *jobManager) allocateWith(slot int, allocation string, job byte, uri string) {
	j.t.Helper()
	g := &graph.JobGraph{JobId: idOf(job), Name: "job", Artifact: &graph.Artifact{Name: "app"}, CachedFiles: []*graph.CachedFile{
		{Name: "f", Uri: uri, Source: uri, FileName: filepath.Base(uri), Registered: "main.go:7"}}}
	j.send(&rpcpb.ToTaskManager{Message: &rpcpb.ToTaskManager_Allocate{Allocate: &rpcpb.AllocateSlot{
		Slot: int32(slot), Allocation: []byte(allocation), Job: &rpcpb.JobInfo{JobKey: []byte("key"), Graph: g}}}})
}

// TestCachedFiles: the files of a job are there when its host starts, stay for the next one of a host that ended by itself,
// and go with the job; another job has its own.
func TestCachedFiles(t *testing.T) {
	testkit.NoGoroutinesLeft(t)
	j, connect := newJobManager(t, false)
	starter := newFakeStarter()
	root, user := filepath.Join(t.TempDir(), "cached-files"), t.TempDir()
	for name, content := range map[string]string{"a": "of A", "b": "of B"} {
		if err := os.WriteFile(filepath.Join(user, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := start(t, connect, starter, func(c *Config) { c.CachedFileDir, c.SlotTimeout = root, 500*time.Millisecond })
	j.connected()
	host := func(slot int, job byte, allocation, uri string) *fakeHost {
		t.Helper()
		j.allocateWith(slot, allocation, job, uri)
		j.expect("offer " + string(job) + " " + allocation)
		j.command(job, &linkpb.ToHost{Message: &linkpb.ToHost_Deploy{Deploy: &linkpb.Deploy{}}})
		return receive(t, starter.hosts, "host")
	}
	has := func(h *fakeHost, want string) string {
		t.Helper()
		p := h.spec.Start.GetCachedFiles()["f"]
		if b, err := os.ReadFile(p); err != nil || string(b) != want || !strings.HasPrefix(p, root+"/") {
			t.Fatalf("the host was given %q with %q (%v), want %q", p, b, err, want)
		}
		return p
	}
	gone := func(what, path string) {
		t.Helper()
		for end := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: the copy is still there", what)
			}
		}
	}
	a := host(0, 'A', "a1", "file://"+user+"/a")
	pathA := has(a, "of A")
	pathB := has(host(1, 'B', "b1", "file://"+user+"/b"), "of B")
	a.finish(&linkpb.HostExit{ExitCode: 2})
	j.expect("exit A expected=false")
	j.release('A')
	j.expect("released A")
	if err := os.Remove(user + "/a"); err != nil {
		t.Fatal(err)
	}
	if again := has(host(0, 'A', "a2", "file://"+user+"/a"), "of A"); again != pathA {
		t.Errorf("the next host has another copy: %s", again)
	}
	j.release('A')
	j.expect("exit A expected=true")
	j.expect("released A")
	gone("the job has ended", pathA)
	if _, err := os.Stat(pathB); err != nil {
		t.Errorf("the copy of another job went, too: %v", err)
	}

	j.allocateWith(0, "c1", 'C', "file://"+user+"/a")
	j.expect("offer C c1")
	f := j.next().GetHost().GetEvent().GetFailed().GetMessage()
	for _, want := range []string{`fetch cached file "f"`, "main.go:7", "from file://" + user + "/a", "no such file"} {
		if !strings.Contains(f, want) {
			t.Errorf("the failure doesn't say %q: %s", want, f)
		}
	}
	j.expect("exit C expected=false")
	m.cancel()
	if err := <-m.result; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Error("copies have outlived the TaskManager")
	}
}
