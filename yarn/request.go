package yarn

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/cachedfile"
)

// request is a deployment as it was asked for.
type request struct {
	mode  string
	name  string // of the YARN application, unless it is configured
	app   *client.Application
	graph *graph.JobGraph

	// local is the application's executable on this machine. remote is set if it is in a file system of the cluster
	// already and used there; local is a copy of it then.
	local  string
	remote *artifact.Artifact
	info   link.Info
}

// check finds what is wrong without asking anybody but the file system an application is in. cleanup removes what it
// left on this machine.
func (d *Descriptor) check(ctx context.Context, r *request) (cleanup func(), err error) {
	cleanup = func() {}
	if _, err := conf.TaskManagerMemory(d.conf); err != nil {
		return cleanup, err
	}
	if r.mode == modeApplication {
		if _, err := conf.JobManagerMemory(d.conf); err != nil {
			return cleanup, err
		}
	}
	for _, p := range []*conf.Prefix{conf.ContainerizedMasterEnv, conf.ContainerizedTaskManagerEnv} {
		if _, err := quoteEnvironment(p.Key(), d.conf.WithPrefix(p.Key())); err != nil {
			return cleanup, err
		}
	}
	for _, o := range []*conf.Option[[]string]{conf.YarnShipFiles, conf.YarnShipArchives} {
		if files := conf.Get(d.conf, o); len(files) > 0 {
			return cleanup, fmt.Errorf("%s=%s: this version of Weft ships no files with an application; embed them in the executable, "+
				"or put them into HDFS and read them from there", o.Key(), strings.Join(files, ";"))
		}
	}
	if err := d.checkWeft(); err != nil {
		return cleanup, err
	}
	files, err := d.cachedFiles(r)
	if err == nil {
		err = cachedfile.Find(files)
	}
	if err != nil {
		return cleanup, err
	}
	if r.app == nil {
		return cleanup, nil
	}
	if cleanup, err = d.obtain(ctx, r); err != nil {
		return cleanup, err
	}
	if r.info, err = link.ReadExecutable(r.local); err != nil {
		return cleanup, err
	}
	r.info.Path = r.app.Path // what the user knows it by
	if err := r.info.CheckPlatform(conf.Get(d.conf, conf.WeftClusterPlatform)); err != nil {
		return cleanup, err
	}
	if err := r.info.CheckVersion(); err != nil {
		return cleanup, fmt.Errorf("%s: %w", r.app.Path, err)
	}
	if w := r.info.Warning(); w != "" {
		d.log.Warn(w)
	}
	return cleanup, nil
}

// checkWeft makes sure that the weft executable runs on the cluster.
func (d *Descriptor) checkWeft() error {
	if d.env.Weft == "" {
		return errors.New("deploy on YARN: the path of the weft executable isn't known")
	}
	bi, err := buildinfo.ReadFile(d.env.Weft)
	if err != nil {
		return fmt.Errorf("read the weft executable %s: %w", d.env.Weft, err)
	}
	system, arch := "", ""
	for _, s := range bi.Settings {
		switch s.Key {
		case "GOOS":
			system = s.Value
		case "GOARCH":
			arch = s.Value
		}
	}
	want := conf.Get(d.conf, conf.WeftClusterPlatform)
	if got := system + "/" + arch; system != "" && got != want {
		return fmt.Errorf("the weft executable %s is for %s, and the cluster runs %s (%s): submit with a weft built for it",
			d.env.Weft, got, want, conf.WeftClusterPlatform.Key())
	}
	return nil
}

// obtain finds the application's executable. One in a file system of the cluster is copied here, to be looked at.
func (d *Descriptor) obtain(ctx context.Context, r *request) (cleanup func(), err error) {
	cleanup = func() {}
	scheme, rest, isURI := strings.Cut(r.app.Path, ":/")
	if !isURI || strings.ContainsAny(scheme, "/.") {
		r.local = r.app.Path
		return cleanup, nil
	}
	if scheme == "file" {
		r.local = "/" + strings.TrimLeft(rest, "/")
		return cleanup, nil
	}
	fsys, p, err := d.files.Resolve(r.app.Path)
	if err != nil {
		return cleanup, err
	}
	dir, err := os.MkdirTemp("", "weft-application-")
	if err != nil {
		return cleanup, fmt.Errorf("make room for a copy of %s: %w", r.app.Path, err)
	}
	cleanup = func() { os.RemoveAll(dir) }
	before, err := fsys.Stat(ctx, p)
	if err != nil {
		return cleanup, fmt.Errorf("read application %s: %w", r.app.Path, err)
	}
	in, err := fsys.Open(ctx, p)
	if err != nil {
		return cleanup, fmt.Errorf("read application %s: %w", r.app.Path, err)
	}
	defer in.Close()
	r.local = filepath.Join(dir, "application")
	out, err := os.OpenFile(r.local, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return cleanup, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), in)
	if err = errors.Join(err, out.Close()); err == nil && n != before.Size {
		err = artifact.ErrChanged
	}
	if err != nil {
		return cleanup, fmt.Errorf("read application %s: %w", r.app.Path, err)
	}
	r.remote = &artifact.Artifact{URI: fsys.URI(p), Size: before.Size, MTime: before.MTime, SHA256: artifact.Key(h.Sum(nil))}
	return cleanup, nil
}
