package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/filesystem/hdfs"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

const (
	// runLimit bounds one submission, from the command's start until everything runs, and its end.
	runLimit = 2 * time.Minute
	// downLimit bounds taking Hadoop down.
	downLimit = time.Minute
)

// cluster is a real Hadoop on this machine, and the executables that are submitted to it.
type cluster struct {
	dir              string // of scripts/hadoop, and of everything else that is temporary
	weft, app, floor string
	files            *filesystem.Set
	web              *webservice.Client
	env              []string
	count            int // marker directories made
}

// withHadoop brings Hadoop up with 3 NodeManagers, calls f, and takes it down again. settings are arguments of --set.
func withHadoop(ctx context.Context, settings []string, f func(*cluster) error) (err error) {
	c := &cluster{}
	if c.dir, err = os.MkdirTemp("", "weft-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	if err := c.build(ctx); err != nil {
		return err
	}
	args := []string{"up", filepath.Join(c.dir, "hadoop"), "--nodemanagers", "3"}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	fmt.Fprintln(os.Stderr, "bench: Hadoop up", strings.Join(settings, " "))
	defer func() {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), downLimit)
		defer cancel()
		_, e := output(exec.CommandContext(down, "scripts/hadoop", "down", filepath.Join(c.dir, "hadoop"), "--purge"))
		err = errors.Join(err, e)
	}()
	out, err := output(exec.CommandContext(ctx, "scripts/hadoop", args...))
	if err != nil {
		return err
	}
	if err := c.connect(strings.TrimSpace(out)); err != nil {
		return err
	}
	defer func() {
		c.web.Close()
		err = errors.Join(err, c.files.Close())
	}()
	return f(c)
}

// build makes the executables that are submitted. weft itself is there already, by `make build`.
func (c *cluster) build(ctx context.Context) (err error) {
	if c.weft, err = filepath.Abs("bin/weft"); err == nil {
		_, err = os.Stat(c.weft)
	}
	if err != nil {
		return fmt.Errorf("find weft: %w; run make build first, in the project's directory", err)
	}
	c.app, c.floor = filepath.Join(c.dir, "app"), filepath.Join(c.dir, "floor")
	for _, b := range []struct{ to, from string }{{c.app, "./bench/app"}, {c.floor, "./bench/floor"}} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.to, b.from)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if _, err := output(cmd); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) connect(confDir string) error {
	c.env = append(os.Environ(), "HADOOP_CONF_DIR="+confDir, "TMPDIR="+c.dir)
	site, err := hadoop.LoadSite(confDir)
	if err != nil {
		return err
	}
	properties := site.Values()
	c.files, err = filesystem.NewSet(filesystem.SetConfig{DefaultScheme: site.Get("fs.defaultFS"),
		Schemes: map[string]filesystem.Opener{"hdfs": hdfs.Opener(hdfs.Config{Site: properties})}})
	if err != nil {
		return err
	}
	addresses, err := site.RMWebAddresses()
	if err != nil {
		return err
	}
	c.web, err = webservice.New(webservice.Config{Addresses: addresses, User: "bench", Timeout: 20 * time.Second})
	return err
}

// output runs cmd and returns what it wrote to stdout.
func output(cmd *exec.Cmd) (string, error) {
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out.String(), stderr.String())
	}
	return out.String(), nil
}

// command is a process that knows the cluster.
func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = c.env
	return cmd
}

var applicationID = regexp.MustCompile(`application_\d+_\d+`)

// ended waits until YARN says that an application has ended.
func (c *cluster) ended(ctx context.Context, id string) error {
	app, err := records.ParseApplicationID(id)
	if err != nil {
		return err
	}
	return until(ctx, 50*time.Millisecond, func() (bool, error) {
		a, err := c.web.Application(ctx, app)
		return err == nil && a.State.Ended(), err
	})
}

// until asks done again and again.
func until(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
