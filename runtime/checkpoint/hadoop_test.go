//go:build hadoop

package checkpoint

import (
	"testing"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/internal/hadooptest"
)

// TestHDFS runs the suite on real HDFS.
func TestHDFS(t *testing.T) {
	c := hadooptest.Require(t)
	runSuite(t, func(t *testing.T) (filesystem.FileSystem, string) {
		f, err := hdfs.New(hdfs.Config{Authority: c.NameNode, Site: map[string]string{"dfs.replication": "1"}, User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		return f, c.TestDir(t) + "/checkpoints"
	})
}
