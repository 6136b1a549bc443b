package yarn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/yarn/webservice"
)

const (
	// reachTimeout bounds the wait for a YARN ResourceManager or NameNode that doesn't answer.
	reachTimeout = 20 * time.Second
	// cleanupTimeout bounds what is done after a failure or the end of a context: kill the application, remove staging.
	cleanupTimeout = 20 * time.Second
	// connectTimeout bounds the connection to a NameNode, each of them.
	connectTimeout = 5 * time.Second
)

// Descriptor is the client.ClusterDescriptor of one YARN cluster. It is safe for concurrent use.
type Descriptor struct {
	conf  conf.Configuration
	env   client.Environment
	log   *slog.Logger
	user  string
	site  *hadoop.Site
	web   *webservice.Client
	files *filesystem.Set
}

var _ client.ClusterDescriptor = (*Descriptor)(nil)

// NewDescriptor makes a Descriptor; see Provider.Descriptor.
func NewDescriptor(c conf.Configuration, env client.Environment) (*Descriptor, error) {
	if env.Getenv == nil {
		env.Getenv = func(string) string { return "" }
	}
	d := &Descriptor{conf: c, env: env, log: env.Log, user: env.Getenv(envUser)}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.user == "" {
		d.user = env.User
	}
	if d.user == "" {
		return nil, errors.New("find out who submits to YARN: neither HADOOP_USER_NAME nor the operating system names a user")
	}
	var err error
	if d.site, err = loadSite(c, env.Getenv, d.user); err != nil {
		return nil, err
	}
	if a := d.site.Get("hadoop.security.authentication"); !strings.EqualFold(a, "simple") {
		return nil, fmt.Errorf("use YARN: hadoop.security.authentication is %q (from %s); this version of Weft only speaks to "+
			"clusters with simple authentication", a, d.site.Origin("hadoop.security.authentication"))
	}
	addresses, err := d.site.RMWebAddresses()
	if err != nil {
		return nil, err
	}
	d.web, err = webservice.New(webservice.Config{Addresses: addresses, User: d.user, Timeout: reachTimeout, Retries: 2, Log: d.log})
	if err != nil {
		return nil, err
	}
	d.files, err = openFiles(d.site, d.user, d.log)
	return d, err
}

// loadSite reads Hadoop's site files and applies the configuration's overrides: flink.hadoop.x sets x, flink.yarn.x sets
// yarn.x, both above any file.
func loadSite(c conf.Configuration, getenv func(string) string, user string) (*hadoop.Site, error) {
	var dirs []string
	for _, d := range []struct{ variable, value string }{
		{"HADOOP_CONF_DIR", conf.Get(c, conf.EnvHadoopConfDir)}, {"YARN_CONF_DIR", conf.Get(c, conf.EnvYarnConfDir)},
	} {
		dir := getenv(d.variable)
		if dir == "" {
			dir = d.value
		}
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("find the YARN cluster: neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set; " +
			"set one to the directory that has core-site.xml and yarn-site.xml")
	}
	site, err := hadoop.LoadSite(dirs...)
	if err != nil {
		return nil, fmt.Errorf("find the YARN cluster where HADOOP_CONF_DIR and YARN_CONF_DIR say: %w", err)
	}
	overrides := c.WithPrefix(conf.FlinkHadoop.Key())
	for name, v := range c.WithPrefix(conf.FlinkYarn.Key()) {
		overrides["yarn."+name] = v
	}
	if len(site.Sources()) == 0 && len(overrides) == 0 {
		return nil, fmt.Errorf("find the YARN cluster: there is no core-site.xml, hdfs-site.xml or yarn-site.xml in %s; "+
			"set HADOOP_CONF_DIR to the directory that has them", strings.Join(dirs, " or "))
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "/"
	}
	return site.WithOverrides(overrides).WithVariables(map[string]string{
		"user.name": user, "user.home": home, "java.io.tmpdir": strings.TrimRight(os.TempDir(), "/"),
	}), nil
}

// openFiles makes the file systems of a process that knows the site. Nothing is connected yet.
func openFiles(site *hadoop.Site, user string, log *slog.Logger) (*filesystem.Set, error) {
	properties := site.Values()
	return filesystem.NewSet(filesystem.SetConfig{
		DefaultScheme: defaultScheme(site),
		Schemes: map[string]filesystem.Opener{"hdfs": hdfs.Opener(hdfs.Config{
			Site: properties, User: user, ConnectTimeout: connectTimeout, Logger: log,
		})},
	})
}

// DeploySession implements client.ClusterDescriptor.
func (d *Descriptor) DeploySession(ctx context.Context) (*client.Cluster, error) {
	return d.deploy(ctx, &request{mode: modeSession, name: "Weft session cluster"})
}

// DeployPerJob implements client.ClusterDescriptor.
func (d *Descriptor) DeployPerJob(ctx context.Context, g *graph.JobGraph, app client.Application) (*client.Cluster, error) {
	return d.deploy(ctx, &request{mode: modePerJob, name: "Weft per-job cluster", app: &app, graph: g})
}

// DeployApplication implements client.ClusterDescriptor. For an application that has ended well before its endpoint was
// asked, the Cluster has no Endpoint.
func (d *Descriptor) DeployApplication(ctx context.Context, app client.Application) (*client.Cluster, error) {
	return d.deploy(ctx, &request{mode: modeApplication, name: "Weft application cluster", app: &app})
}

// Close implements client.ClusterDescriptor.
func (d *Descriptor) Close() error {
	d.web.Close()
	return d.files.Close()
}
