package hadooptest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ContainerLogs returns the log files of an application's containers, on all nodes: their text by path.
func (c *Cluster) ContainerLogs(t testing.TB, application string) map[string]string {
	t.Helper()
	logs := map[string]string{}
	root := filepath.Join(c.Dir, "logs", "userlogs")
	paths, err := filepath.Glob(filepath.Join(root, "*", application, "*", "*"))
	if err != nil {
		t.Fatalf("list the container logs: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a directory, or removed meanwhile
		}
		logs[path] = string(text)
	}
	return logs
}

// maxShown bounds what LogOnFailure shows of a file.
const maxShown = 8 << 10

// LogOnFailure shows an application's report and the end of each of its containers' logs, should the test fail.
func (c *Cluster) LogOnFailure(t testing.TB, application string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for path, text := range c.ContainerLogs(t, application) {
			name := filepath.Base(path)
			if strings.TrimSpace(text) == "" || name == "launch_container.sh" || name == "directory.info" {
				continue
			}
			t.Logf("%s:\n%s", path, text[max(0, len(text)-maxShown):])
		}
	})
}
