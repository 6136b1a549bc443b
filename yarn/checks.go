package yarn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/amrm"
	"github.com/weftstream/weft/yarn/webservice"
)

// cluster is what the client has found out about YARN before it uploads anything.
type cluster struct {
	app       webservice.NewApplication
	scheduler webservice.Scheduler
	nodes     []webservice.Node
	staging   staging
}

// staging is the directory that holds the cache and the applications' directories.
type staging struct {
	fs  filesystem.FileSystem
	dir string
}

func (s staging) application(id string) string { return path.Join(s.dir, id) }

// openStaging resolves yarn.staging-directory, by default .weft in the user's home. It contacts nobody.
func (d *Descriptor) openStaging() (staging, error) {
	where := conf.Get(d.conf, conf.YarnStagingDirectory)
	if where == "" {
		where = d.defaultStaging()
	}
	fsys, dir, err := d.files.Resolve(where)
	if err != nil {
		return staging{}, fmt.Errorf("find the staging directory: %w", err)
	}
	return staging{fsys, dir}, nil
}

// defaultStaging is relative: to the user's home on HDFS. The local file system, which tests and clusters of one machine
// use, has a home, too.
func (d *Descriptor) defaultStaging() string {
	if strings.HasPrefix(d.site.DefaultFS(), "file:") {
		return "file://" + path.Join(filesystem.Local{}.Home(), ".weft")
	}
	return ".weft"
}

// errReactive refuses what would ask YARN for all the slots that a job could ever use.
var errReactive = errors.New("scheduler-mode REACTIVE is for standalone clusters, whose TaskManagers come and go by themselves: " +
	"on YARN set jobmanager.scheduler to Adaptive, and ask for another parallelism with PUT /jobs/:jobid/resource-requirements")

// survey asks YARN and the NameNode what there is, side by side, and checks the request against it.
func (d *Descriptor) survey(ctx context.Context) (*cluster, error) {
	if _, reactive := conf.Lookup(d.conf, conf.SchedulerMode); reactive {
		return nil, errReactive
	}
	c := &cluster{}
	var err error
	if c.staging, err = d.openStaging(); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		c.app, err = d.web.NewApplication(gctx)
		return err
	})
	g.Go(func() (err error) {
		c.scheduler, err = d.web.Scheduler(gctx)
		return err
	})
	g.Go(func() (err error) {
		c.nodes, err = d.web.Nodes(gctx)
		return err
	})
	g.Go(func() error {
		sctx, cancel := context.WithTimeout(gctx, reachTimeout)
		defer cancel()
		if _, err := c.staging.fs.Stat(sctx, c.staging.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d.stagingError("reach", c.staging, err)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(d.site.DefaultFS(), "file:") {
		d.log.Warn("the default file system is the local one, which YARN's nodes may not share; is HADOOP_CONF_DIR right?",
			"fs.defaultFS", d.site.DefaultFS())
	}
	if err := d.checkQueue(c); err != nil {
		return nil, err
	}
	return c, d.checkSizes(c)
}

// checkQueue refuses a queue that isn't there. The other schedulers make queues as they are needed.
func (d *Descriptor) checkQueue(c *cluster) error {
	name := conf.Get(d.conf, conf.YarnApplicationQueue)
	if name == "" || c.scheduler.Type != "capacityScheduler" {
		return nil
	}
	q, ok := c.scheduler.Leaf(name)
	if !ok {
		return fmt.Errorf("submit to YARN: there is no queue %q; the queues are %s (%s)",
			name, strings.Join(c.scheduler.LeafPaths(), ", "), conf.YarnApplicationQueue.Key())
	}
	if q.State != "" && q.State != "RUNNING" {
		return fmt.Errorf("submit to YARN: queue %s is %s and takes no applications", q.Path, q.State)
	}
	return nil
}

// checkSizes refuses containers that YARN would never grant.
func (d *Descriptor) checkSizes(c *cluster) error {
	largest, live := largestNode(c.nodes)
	if live == 0 {
		d.log.Warn("no NodeManager is running: the application will wait until there is one")
	}
	for _, ask := range []struct {
		what, memoryKey, vcoresKey string
		size                       records.Resource
	}{
		{"the JobManager", conf.JobManagerMemoryProcessSize.Key(), conf.YarnAppmasterVcores.Key(), masterSize(d.conf)},
		{"a TaskManager", conf.TaskManagerMemoryProcessSize.Key(), conf.YarnContainersVcores.Key(), capability(workerSpec(d.conf))},
	} {
		switch size, most := ask.size, c.app.Maximum; {
		case size.MemoryMB > most.MemoryMB:
			return fmt.Errorf("%s needs a container of %d MiB (%s), and YARN grants at most %d MiB "+
				"(yarn.scheduler.maximum-allocation-mb, yarn.nodemanager.resource.memory-mb)",
				ask.what, size.MemoryMB, ask.memoryKey, most.MemoryMB)
		case size.VCores > most.VCores:
			return fmt.Errorf("%s needs a container of %d vcores (%s), and YARN grants at most %d (yarn.scheduler.maximum-allocation-vcores)",
				ask.what, size.VCores, ask.vcoresKey, most.VCores)
		case live > 0 && size.MemoryMB > largest.MemoryMB:
			return fmt.Errorf("%s needs a container of %d MiB (%s), which is above every node: the largest of the %d running has %d MiB",
				ask.what, size.MemoryMB, ask.memoryKey, live, largest.MemoryMB)
		case live > 0 && size.VCores > largest.VCores:
			// Only YARN's dominant resource calculator cares.
			d.log.Warn("a container has more vcores than any node; YARN may never grant it", "for", ask.what,
				"vcores", size.VCores, "largest node", largest.VCores)
		}
	}
	return nil
}

// spreadNodes are the nodes on which TaskManagers fit, for the application master to spread them over.
func (d *Descriptor) spreadNodes(nodes []webservice.Node) []amrm.NodeHost {
	size := capability(workerSpec(d.conf))
	var out []amrm.NodeHost
	for _, n := range nodes {
		if n.State == "RUNNING" && n.UsedMemoryMB+n.AvailMemoryMB >= size.MemoryMB && len(n.Labels) == 0 {
			out = append(out, amrm.NodeHost{Host: n.Host, Rack: n.Rack})
		}
	}
	return out
}

// stagingError says what to do when the staging directory can't be used.
func (d *Descriptor) stagingError(do string, s staging, err error) error {
	hint := ""
	switch {
	case errors.Is(err, filesystem.ErrSafeMode):
		hint = "; wait until the NameNode has left safe mode"
	case errors.Is(err, filesystem.ErrQuotaExceeded):
		hint = "; remove something there, or name another directory by " + conf.YarnStagingDirectory.Key()
	case errors.Is(err, fs.ErrPermission):
		hint = fmt.Sprintf("; user %s needs a directory to write to, named by %s", d.user, conf.YarnStagingDirectory.Key())
	case errors.Is(err, filesystem.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		hint = fmt.Sprintf("; is the NameNode running at %s (from %s)?", d.site.DefaultFS(), d.site.Origin("fs.defaultFS"))
	}
	return fmt.Errorf("%s the staging directory %s: %w%s", do, s.fs.URI(s.dir), err, hint)
}
