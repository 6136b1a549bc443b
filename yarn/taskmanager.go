package yarn

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/rpc"
)

// TaskManager is what a TaskManager's container was given. It satisfies package entrypoint's TaskManagerProvider.
type TaskManager struct {
	*container
	settings workerSettings
	conf     conf.Configuration
	leaf     *rpc.Leaf
	files    *filesystem.Set
	shared   string // of the application's containers on this node
}

// OpenTaskManager reads it from the container's environment and token file. Nothing is contacted.
func OpenTaskManager(getenv func(string) string) (*TaskManager, error) {
	c, err := openContainer(getenv)
	if err != nil {
		return nil, err
	}
	t := &TaskManager{container: c}
	for name, read := range map[string]func([]byte) error{
		secretLeaf:   func(b []byte) (err error) { t.leaf, err = rpc.ParseLeaf(b); return err },
		secretWorker: func(b []byte) error { return json.Unmarshal(b, &t.settings) },
	} {
		b, ok := c.credentials.Secrets[name]
		if !ok {
			return nil, fmt.Errorf("read the container's credentials: the secret %s isn't there", name)
		}
		if err := read(b); err != nil {
			return nil, fmt.Errorf("read the secret %s of the container's credentials: %w", name, err)
		}
	}
	if t.settings.Version != link.Version {
		return nil, fmt.Errorf("read what the JobManager says: it is Weft %s, and this is Weft %s", t.settings.Version, link.Version)
	}
	if t.conf, err = inContainer(t.settings.Conf, c, getenv(envLocalDirs)); err != nil {
		return nil, err
	}
	local, _, _ := strings.Cut(getenv(envLocalDirs), ",")
	if local == "" {
		local = c.workDir
	}
	t.shared = filepath.Join(local, "weft-artifacts")
	t.files, err = siteFiles(t.conf, t.settings.User)
	return t, err
}

// Configuration is the cluster's.
func (t *TaskManager) Configuration() conf.Configuration { return t.conf }

// Files are the file systems of the client's site.
func (t *TaskManager) Files() *filesystem.Set { return t.files }

// Leaf is the certificate that the JobManager issued for this container.
func (t *TaskManager) Leaf() *rpc.Leaf { return t.leaf }

// JobManager is its rpc address.
func (t *TaskManager) JobManager() string { return t.settings.JobManager }

// ArtifactDir is the application's on this node; YARN removes it with the application.
func (t *TaskManager) ArtifactDir() string { return t.shared }

// ExitOnDisconnect is true: without its JobManager, a container is of no use.
func (t *TaskManager) ExitOnDisconnect() bool { return true }

// Close closes the file systems.
func (t *TaskManager) Close() error { return t.files.Close() }
