package stream

import (
	"fmt"
	"maps"
	"os"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/hadoop"
)

// openFiles makes the file systems of this process. Nothing is connected or read before the first hdfs: location: then
// Hadoop's site files come from HADOOP_CONF_DIR where that is set, and the configuration's flink.hadoop.* properties,
// which is what a process on a cluster has, from c.
func openFiles(c conf.Configuration) (*filesystem.Set, error) {
	return filesystem.NewSet(filesystem.SetConfig{
		DefaultScheme: conf.Get(c, conf.FsDefaultScheme),
		Schemes: map[string]filesystem.Opener{"hdfs": func(authority string) (filesystem.FileSystem, error) {
			site, err := hadoopSite(c)
			if err != nil {
				return nil, err
			}
			return hdfs.Opener(hdfs.Config{Site: site, User: os.Getenv("HADOOP_USER_NAME")})(authority)
		}},
	})
}

func hadoopSite(c conf.Configuration) (map[string]string, error) {
	dir := os.Getenv("HADOOP_CONF_DIR")
	if dir == "" {
		dir = conf.Get(c, conf.EnvHadoopConfDir)
	}
	site, err := hadoop.LoadSite(dir)
	if err != nil {
		return nil, fmt.Errorf("open hdfs: read Hadoop's site files: %w", err)
	}
	values := site.Values()
	maps.Copy(values, c.WithPrefix(conf.FlinkHadoop.Key()))
	return values, nil
}
