package yarn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/hadoop"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/yarn/webservice"
)

const (
	// sweepTimeout bounds a Sweep, and sweepParallelism its questions to YARN at once.
	sweepTimeout     = 15 * time.Second
	sweepParallelism = 4
	// forgottenAge is the age from which the directory of an application that YARN doesn't know belongs to nobody: one
	// that is being submitted isn't known either.
	forgottenAge = 24 * time.Hour
	// cacheAge is how long an executable that nobody uses stays in the cache.
	cacheAge = 30 * 24 * time.Hour
)

// Sweep implements client.ClusterDescriptor: it removes the directories of applications that have ended, or that this
// YARN cluster has long forgotten. It never removes that of an application that lives, or that may live on another
// cluster with the same HDFS. When no application is left, old executables go, too.
func (d *Descriptor) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	s, err := d.openStaging()
	if err != nil {
		return err
	}
	entries, err := s.fs.List(ctx, s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep the staging directory: %w", err)
	}
	var mu sync.Mutex // guards left
	left := 0
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sweepParallelism)
	for _, e := range entries {
		id, err := records.ParseApplicationID(e.Name())
		if err != nil || !e.IsDir || e.Owner != s.fs.User() {
			continue
		}
		g.Go(func() error {
			gone, err := d.sweepOne(gctx, s, id, e)
			if !gone {
				mu.Lock()
				left++
				mu.Unlock()
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("sweep the staging directory: %w", err)
	}
	if left > 0 {
		return nil // a living application may need an old executable for its next container
	}
	cache := artifact.NewCache(artifact.CacheConfig{FS: s.fs, Staging: s.dir})
	removed, freed, err := cache.Prune(ctx, cacheAge, 0)
	if removed > 0 {
		d.log.Info("removed old executables from the staging directory", "files", removed, "bytes", freed)
	}
	return err
}

// sweepOne removes one application's directory if nobody needs it.
func (d *Descriptor) sweepOne(ctx context.Context, s staging, id records.ApplicationID, dir filesystem.Info) (gone bool, err error) {
	app, err := d.web.Application(ctx, id)
	switch {
	case errors.Is(err, webservice.ErrNotFound):
		if time.Since(dir.ModTime()) < forgottenAge || !d.ours(ctx, s, id) {
			return false, nil
		}
	case err != nil:
		return false, err
	case !app.State.Ended():
		return false, nil
	}
	d.log.Debug("remove the staging directory of an ended application", "application", id.String())
	return true, s.remove(ctx, id.String())
}

// ours says whether a directory was made for an application of this YARN cluster. One without a deployment never got as
// far as a submission.
func (d *Descriptor) ours(ctx context.Context, s staging, id records.ApplicationID) bool {
	b, err := filesystem.ReadFile(ctx, s.fs, path.Join(s.application(id.String()), deploymentFile), maxDeployment)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	dep := struct {
		Site *hadoop.Site `json:"site"`
	}{&hadoop.Site{}}
	if err != nil || json.Unmarshal(b, &dep) != nil || dep.Site == nil {
		return false
	}
	theirs, err := dep.Site.RMWebAddresses()
	if err != nil {
		return false
	}
	mine, err := d.site.RMWebAddresses()
	return err == nil && slices.Equal(theirs, mine)
}
