package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/yarn/webservice"
)

// staging is where the executable is put.
const staging = "/weft-floor"

// submit submits this executable as an ApplicationMaster and prints the application's id.
func submit(ctx context.Context, o options) (err error) {
	site, err := hadoop.LoadSite(os.Getenv("HADOOP_CONF_DIR"))
	if err != nil {
		return err
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	executable, err := stage(ctx, site, me.Username)
	if err != nil {
		return err
	}
	addresses, err := site.RMWebAddresses()
	if err != nil {
		return err
	}
	web, err := webservice.New(webservice.Config{Addresses: addresses, User: me.Username, Timeout: 20 * time.Second})
	if err != nil {
		return err
	}
	defer web.Close()
	schedulers, err := site.RMSchedulerAddresses()
	if err != nil {
		return err
	}
	nodes, err := web.Nodes(ctx, "RUNNING")
	if err != nil {
		return err
	}
	hosts := make([]string, len(nodes))
	for i, n := range nodes {
		hosts[i] = n.Host
	}
	app, err := web.NewApplication(ctx)
	if err != nil {
		return err
	}
	command := fmt.Sprintf("exec ./floor -marker '%s' -containers %d -memory %d -schedulers %s -nodes %s master 1><LOG_DIR>/master.out 2><LOG_DIR>/master.err",
		o.marker, o.containers, o.memory, strings.Join(schedulers, ","), strings.Join(hosts, ","))
	err = web.Submit(ctx, webservice.Submission{ID: app.ID, Name: "floor", Type: "floor", Queue: "default", Priority: -1, MaxAttempts: 1,
		Resource: records.Resource{MemoryMB: o.memory, VCores: 1},
		Launch: records.LaunchContext{Command: command, LocalResources: map[string]records.LocalResource{"floor": {
			URL: executable.URI, Size: executable.Size, Timestamp: executable.MTime, Type: records.ResourceFile, Visibility: records.VisibilityPrivate,
		}}}})
	if err != nil {
		return err
	}
	fmt.Println(app.ID)
	return nil
}

// stage puts this executable into HDFS unless it is there.
func stage(ctx context.Context, site *hadoop.Site, user string) (a artifact.Artifact, err error) {
	self, err := os.Executable()
	if err != nil {
		return a, err
	}
	properties := site.Values()
	files, err := filesystem.NewSet(filesystem.SetConfig{Schemes: map[string]filesystem.Opener{
		"hdfs": hdfs.Opener(hdfs.Config{Site: properties, User: user})}})
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	fsys, dir, err := files.Resolve(site.Get("fs.defaultFS") + staging)
	if err != nil {
		return a, err
	}
	a, _, err = artifact.NewCache(artifact.CacheConfig{FS: fsys, Staging: dir}).Put(ctx, self, nil)
	return a, err
}
