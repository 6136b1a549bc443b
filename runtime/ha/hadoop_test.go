//go:build hadoop

package ha

import (
	"testing"

	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/internal/hadooptest"
)

// TestHDFS runs the suite on real HDFS, each contender with connections of its own.
func TestHDFS(t *testing.T) {
	c := hadooptest.Require(t)
	runSuite(t, func(t *testing.T) func() *Log {
		dir := c.TestDir(t) + "/ha/app"
		return func() *Log {
			f, err := hdfs.New(hdfs.Config{Authority: c.NameNode, Site: map[string]string{"dfs.replication": "1"}, User: "alice"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return Open(f, dir)
		}
	})
}
