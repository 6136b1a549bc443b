package yarn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"sync"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/cachedfile"
	"github.com/weftstream/weft/runtime/rpc"
)

// upload brings the executables and the cached files of this machine into the cache, side by side, and fills them in. What is
// there isn't sent again.
func (d *Descriptor) upload(ctx context.Context, s staging, r *request, dep *deployment, files []*graph.CachedFile) error {
	public, err := reachableByAll(ctx, s)
	if err != nil {
		return d.stagingError("use", s, err)
	}
	p := d.newProgress()
	defer p.done()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		a, err := d.put(gctx, s, d.env.Weft, public, p)
		if err != nil {
			return err
		}
		dep.Weft, err = sharedResource(gctx, s, a, public)
		return err
	})
	g.Go(func() error {
		return cachedfile.Stage(gctx, files, func(ctx context.Context, path string) (artifact.Artifact, error) {
			return d.put(ctx, s, path, false, p)
		})
	})
	switch {
	case r.app == nil:
	case r.remote != nil:
		dep.Application.Artifact = *r.remote
	default:
		g.Go(func() (err error) {
			dep.Application.Artifact, err = d.put(gctx, s, r.local, false, p)
			return err
		})
	}
	return g.Wait()
}

// put uploads one file, unless it is there.
func (d *Descriptor) put(ctx context.Context, s staging, local string, public bool, p *progress) (artifact.Artifact, error) {
	cache := artifact.NewCache(artifact.CacheConfig{FS: s.fs, Staging: s.dir, Public: public})
	a, uploaded, err := cache.Put(ctx, local, p.of(local))
	if err != nil {
		return a, d.stagingError("use", s, err)
	}
	d.log.Debug("file in staging", "file", local, "uri", a.URI, "uploaded", uploaded)
	return a, nil
}

// reachableByAll says whether everybody may enter all directories above what is in staging, which is what YARN wants of
// a PUBLIC file. A staging directory that isn't there yet will be made so.
func reachableByAll(ctx context.Context, s staging) (bool, error) {
	for dir := s.dir; ; dir = path.Dir(dir) {
		i, err := s.fs.Stat(ctx, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if err == nil && i.Mode.Perm()&0o001 == 0 {
			return false, nil
		}
		if dir == "/" || dir == "." {
			return true, nil
		}
	}
}

// sharedResource is a cached file, PUBLIC where its own permissions allow it: it may have been uploaded in another time.
func sharedResource(ctx context.Context, s staging, a artifact.Artifact, public bool) (resource, error) {
	r := resource{Artifact: a, Visibility: records.VisibilityPrivate}
	file := path.Join(s.dir, "cache", a.SHA256.String(), path.Base(a.URI))
	for p, bit := file, fs.FileMode(0o004); public && p != s.dir; p, bit = path.Dir(p), 0o001 {
		i, err := s.fs.Stat(ctx, p)
		if err != nil {
			return r, fmt.Errorf("look at %s: %w", s.fs.URI(p), err)
		}
		public = i.Mode.Perm()&bit != 0
	}
	if public {
		r.Visibility = records.VisibilityPublic
	}
	return r, nil
}

// writeFiles writes the application's own files and returns them as resources of the application master's container.
func (d *Descriptor) writeFiles(ctx context.Context, s staging, dep *deployment, token rpc.Token) (map[string]records.LocalResource, error) {
	authority, err := rpc.NewAuthority(dep.ID, 0)
	if err != nil {
		return nil, err
	}
	pem, err := authority.PEM()
	if err != nil {
		return nil, err
	}
	description, err := json.Marshal(dep)
	if err != nil {
		return nil, fmt.Errorf("write the deployment: %w", err)
	}
	contents := map[string][]byte{
		deploymentFile: description, authorityFile: pem, tokenFile: []byte(token),
	}
	var mu sync.Mutex // guards out
	out := map[string]records.LocalResource{}
	g, gctx := errgroup.WithContext(ctx)
	for name, content := range contents {
		g.Go(func() error {
			file := path.Join(s.application(dep.ID), name)
			if err := filesystem.WriteFile(gctx, s.fs, file, content, filesystem.CreateOptions{Mode: 0o600, Replication: d.replication()}); err != nil {
				return d.stagingError("write to", s, err)
			}
			i, err := s.fs.Stat(gctx, file)
			if err != nil {
				return d.stagingError("look at", s, err)
			}
			mu.Lock()
			defer mu.Unlock()
			out[name] = records.LocalResource{URL: s.fs.URI(file), Size: i.Size, Timestamp: i.MTime,
				Type: records.ResourceFile, Visibility: records.VisibilityApplication}
			return nil
		})
	}
	return out, g.Wait()
}

// replication of the application's files; 0 is the file system's default.
func (d *Descriptor) replication() int { return max(0, conf.Get(d.conf, conf.YarnFileReplication)) }

// progress adds up uploads that run side by side, and shows them on a terminal. It is safe for concurrent use.
type progress struct {
	out io.Writer // nil: nothing is shown

	mu    sync.Mutex // guards what follows
	bar   *progressbar.ProgressBar
	sizes map[string][2]int64 // done and total of each file
}

func (d *Descriptor) newProgress() *progress {
	p := &progress{sizes: map[string][2]int64{}}
	if d.env.Terminal && d.env.Err != nil {
		p.out = d.env.Err
	}
	return p
}

// of returns the callback of one file's upload.
func (p *progress) of(file string) func(done, total int64) {
	if p.out == nil {
		return nil
	}
	return func(done, total int64) { p.set(file, done, total) }
}

func (p *progress) set(file string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[file] = [2]int64{done, total}
	sum, all := int64(0), int64(0)
	for _, s := range p.sizes {
		sum, all = sum+s[0], all+s[1]
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(all, progressbar.OptionSetWriter(p.out), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription("uploading "+filepath.Base(file)), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(30))
	}
	if len(p.sizes) > 1 {
		p.bar.Describe("uploading")
	}
	p.bar.ChangeMax64(all)
	_ = p.bar.Set64(sum) // a bar that can't be drawn is no reason to fail
}

func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
