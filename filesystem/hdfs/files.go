package hdfs

import (
	"fmt"
	"maps"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/hadoop"
)

// NewSet makes the file systems of a process with configuration c and environment getenv. Nothing is connected or read before
// the first hdfs: location: then Hadoop's site files come from HADOOP_CONF_DIR or, where that is not set, env.hadoop.conf.dir;
// above them are the flink.hadoop.* properties, which is what a process on a cluster has. The user is HADOOP_USER_NAME.
func NewSet(c conf.Configuration, getenv func(string) string) (*filesystem.Set, error) {
	return filesystem.NewSet(filesystem.SetConfig{
		DefaultScheme: conf.Get(c, conf.FsDefaultScheme),
		Schemes: map[string]filesystem.Opener{"hdfs": func(authority string) (filesystem.FileSystem, error) {
			dir := getenv("HADOOP_CONF_DIR")
			if dir == "" {
				dir = conf.Get(c, conf.EnvHadoopConfDir)
			}
			site, err := hadoop.LoadSite(dir)
			if err != nil {
				return nil, fmt.Errorf("open hdfs: read Hadoop's site files: %w", err)
			}
			values := site.Values()
			maps.Copy(values, c.WithPrefix(conf.FlinkHadoop.Key()))
			return Opener(Config{Site: values, User: getenv("HADOOP_USER_NAME")})(authority)
		}},
	})
}
