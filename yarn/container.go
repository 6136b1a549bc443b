package yarn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
)

// Variables that YARN sets in a container.
const (
	envContainerID = "CONTAINER_ID"
	envNodeHost    = "NM_HOST"
	envLogDirs     = "LOG_DIRS"
	envLocalDirs   = "LOCAL_DIRS"
	envTokenFile   = "HADOOP_TOKEN_FILE_LOCATION"
	envWorkDir     = "PWD"
)

// container is what YARN tells every container of itself.
type container struct {
	id          records.ContainerID
	host        string
	workDir     string
	logDir      string
	tempDir     string
	credentials *hadoop.Credentials
}

// openContainer reads the environment and the token file, and makes the directory for temporary files. It is in the
// container's working directory, which YARN removes with the container, on whichever disk YARN has chosen.
func openContainer(getenv func(string) string) (*container, error) {
	c := &container{host: getenv(envNodeHost), workDir: getenv(envWorkDir)}
	var err error
	if c.id, err = records.ParseContainerID(getenv(envContainerID)); err != nil {
		return nil, fmt.Errorf("read %s, which YARN sets in a container: %w", envContainerID, err)
	}
	if c.host == "" {
		return nil, fmt.Errorf("read %s, which YARN sets in a container: it isn't set", envNodeHost)
	}
	if c.workDir == "" {
		if c.workDir, err = os.Getwd(); err != nil {
			return nil, fmt.Errorf("find the container's working directory: %w", err)
		}
	}
	// YARN lists the directories of all disks; <LOG_DIR> in the command is the first one.
	c.logDir, _, _ = strings.Cut(getenv(envLogDirs), ",")
	if c.logDir == "" {
		c.logDir = c.workDir
	}
	c.tempDir = filepath.Join(c.workDir, "tmp")
	if err := os.MkdirAll(c.tempDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the container's directory for temporary files: %w", err)
	}
	c.credentials, err = hadoop.ReadCredentialsFile(getenv(envTokenFile))
	return c, err
}

// ResourceID is the container's id.
func (c *container) ResourceID() string { return c.id.String() }

// Host is the node's name as YARN knows it.
func (c *container) Host() string { return c.host }

// LogDir is the first of the container's log directories.
func (c *container) LogDir() string { return c.logDir }

// TempDir is removed with the container.
func (c *container) TempDir() string { return c.tempDir }

// inContainer is c with what only the container knows. Binding to localhost, which Flink's configuration files do, would
// make a container unreachable.
func inContainer(c conf.Configuration, ct *container, localDirs string) (conf.Configuration, error) {
	pairs := c.Map()
	for _, key := range []string{conf.JobManagerBindHost.Key(), conf.TaskManagerBindHost.Key(), conf.RestBindAddress.Key()} {
		if pairs[key] == "localhost" || pairs[key] == "127.0.0.1" {
			delete(pairs, key)
		}
	}
	delete(pairs, conf.TaskManagerHost.Key())
	// rest.port is where a client would look for a standalone cluster; many application masters share a node.
	if _, isSet := pairs[conf.RestBindPort.Key()]; !isSet {
		pairs[conf.RestBindPort.Key()] = "0"
	}
	if _, isSet := pairs[conf.IoTmpDirs.Key()]; !isSet && localDirs != "" {
		pairs[conf.IoTmpDirs.Key()] = localDirs
	}
	return conf.FromMap(pairs)
}

// siteFiles makes the file systems of a container from the properties that the configuration carries as flink.hadoop.*.
func siteFiles(c conf.Configuration, user string) (*filesystem.Set, error) {
	site := hadoop.NewSite(c.WithPrefix(conf.FlinkHadoop.Key()))
	return openFiles(site, user, nil)
}
