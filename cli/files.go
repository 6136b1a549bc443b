package cli

import (
	"fmt"
	"maps"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/hadoop"
)

// openFiles makes the file systems of a command that needs no cluster. Hadoop's site files are read for the first hdfs:
// location, from HADOOP_CONF_DIR or env.hadoop.conf.dir; flink.hadoop.* properties are above them.
func (s *session) openFiles() (*filesystem.Set, error) {
	return filesystem.NewSet(filesystem.SetConfig{
		DefaultScheme: conf.Get(s.conf, conf.FsDefaultScheme),
		Schemes: map[string]filesystem.Opener{"hdfs": func(authority string) (filesystem.FileSystem, error) {
			dir := s.Getenv("HADOOP_CONF_DIR")
			if dir == "" {
				dir = conf.Get(s.conf, conf.EnvHadoopConfDir)
			}
			site, err := hadoop.LoadSite(dir)
			if err != nil {
				return nil, fmt.Errorf("open hdfs: read Hadoop's site files: %w", err)
			}
			values := site.Values()
			maps.Copy(values, s.conf.WithPrefix(conf.FlinkHadoop.Key()))
			return hdfs.Opener(hdfs.Config{Site: values, User: s.Getenv("HADOOP_USER_NAME")})(authority)
		}},
	})
}
