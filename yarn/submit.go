package yarn

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/link"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/yarn/webservice"
)

// rolledLogs are the log files that are complete: YARN may take them away while the application runs.
const rolledLogs = `.*\.(log|out|err)\.[0-9]+`

// deploy is the whole submission: checks, uploads, the submission itself, and the wait until the cluster answers. Before
// the submission nothing exists but files, which are removed when it fails; after it the application is killed if ctx ends.
func (d *Descriptor) deploy(ctx context.Context, r *request) (*client.Cluster, error) {
	cleanup, err := d.check(ctx, r)
	defer cleanup()
	if err != nil {
		return nil, err
	}
	c, err := d.survey(ctx)
	if err != nil {
		return nil, err
	}
	id := c.app.ID
	// The token is kept: the file is gone once the application has ended, which may be soon.
	token := rpc.NewToken()
	submission, err := d.stage(ctx, c, r, token)
	if err == nil {
		err = d.web.Submit(ctx, *submission)
	}
	if err != nil {
		// The submission may have arrived although its answer didn't.
		return nil, errors.Join(err, d.giveBack(ctx, id, c.staging, submission != nil))
	}
	d.log.Info("Submitted application "+id.String(), "queue", submission.Queue, "attempts", submission.MaxAttempts)
	cl, err := d.await(ctx, id, r.mode, submission.Resource)
	if err != nil && ctx.Err() != nil {
		d.log.Info("Giving the application back to YARN", "application", id.String())
		return nil, errors.Join(fmt.Errorf("deploy %s: %w", id, context.Cause(ctx)), d.giveBack(ctx, id, c.staging, true))
	}
	if err != nil {
		var ended *DeploymentError
		return nil, errors.Join(err, d.giveBack(ctx, id, c.staging, !errors.As(err, &ended)))
	}
	if conf.Get(d.conf, conf.SecurityRestAuthentication) != "none" {
		cl.Token = string(token)
	}
	return cl, nil
}

// stage puts everything the application needs into the staging directory and describes the submission. If it returns nil,
// nothing was submitted.
func (d *Descriptor) stage(ctx context.Context, c *cluster, r *request, token rpc.Token) (*webservice.Submission, error) {
	id := c.app.ID.String()
	dep := &deployment{
		Version: link.Version, ID: id, Mode: r.mode, User: d.user, Site: d.site, Nodes: d.spreadNodes(c.nodes), ACLs: d.acls(),
		Directory: c.staging.fs.URI(c.staging.application(id)), Attached: conf.Get(d.conf, conf.ExecutionAttached),
	}
	var err error
	if dep.Conf, err = clusterConfiguration(d.conf, d.site, id); err != nil {
		return nil, err
	}
	if r.app != nil {
		name := r.info.Main[strings.LastIndexByte(r.info.Main, '/')+1:]
		if name == "" || name == "command-line-arguments" {
			name = filepath.Base(r.app.Path)
		}
		dep.Application = &application{Name: name, Platform: r.info.Platform(), Args: r.app.Args}
	}
	// The cache makes the staging directory; the application's own is a test of whether it can be written to.
	if err := c.staging.fs.MkdirAll(ctx, c.staging.dir, 0o711); err != nil {
		return nil, d.stagingError("make", c.staging, err)
	}
	if err := c.staging.fs.MkdirAll(ctx, c.staging.application(id), 0o700); err != nil {
		return nil, d.stagingError("write to", c.staging, err)
	}
	started := time.Now()
	files, err := d.cachedFiles(r)
	if err != nil {
		return nil, err
	}
	if err := d.upload(ctx, c.staging, r, dep, files); err != nil {
		return nil, err
	}
	if r.mode == modeApplication {
		if dep.Conf, err = withCachedFiles(dep.Conf, files); err != nil {
			return nil, err
		}
	}
	if r.graph != nil {
		g := proto.CloneOf(r.graph)
		g.CachedFiles = files
		g.Artifact = dep.Application.graphArtifact()
		if dep.JobGraph, err = proto.Marshal(g); err != nil {
			return nil, fmt.Errorf("write the job: %w", err)
		}
	}
	written, err := d.writeFiles(ctx, c.staging, dep, token)
	if err != nil {
		return nil, err
	}
	d.log.Debug("staged", "application", id, "took", time.Since(started))
	return d.submission(c.app.ID, r, dep, written)
}

// submission is what is posted to YARN.
func (d *Descriptor) submission(id records.ApplicationID, r *request, dep *deployment, files map[string]records.LocalResource) (*webservice.Submission, error) {
	launch, err := masterLaunch(dep, files)
	if err != nil {
		return nil, err
	}
	s := &webservice.Submission{
		ID: id, Name: r.name, Type: conf.Get(d.conf, conf.YarnApplicationType), Queue: conf.Get(d.conf, conf.YarnApplicationQueue),
		Priority: conf.Get(d.conf, conf.YarnApplicationPriority), Resource: masterSize(d.conf), Launch: launch,
		MaxAttempts: 1, NodeLabel: conf.Get(d.conf, conf.YarnApplicationNodeLabel),
		LogAggregation: &webservice.LogAggregation{Include: ".*", RolledInclude: rolledLogs},
	}
	if name := conf.Get(d.conf, conf.YarnApplicationName); name != "" {
		s.Name = name
	}
	if n, isSet := conf.Lookup(d.conf, conf.YarnApplicationAttempts); isSet {
		s.MaxAttempts = n
	}
	if ms := conf.Get(d.conf, conf.YarnApplicationAttemptFailuresValidityInterval); ms > 0 {
		s.AttemptFailuresValidity = time.Duration(ms) * time.Millisecond
	}
	for tag := range strings.SplitSeq(conf.Get(d.conf, conf.YarnTags), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			s.Tags = append(s.Tags, tag)
		}
	}
	return s, nil
}

func (d *Descriptor) acls() map[records.AccessType]string {
	out := map[records.AccessType]string{}
	for access, o := range map[records.AccessType]*conf.Option[string]{
		records.ViewApp: conf.YarnViewAcls, records.ModifyApp: conf.YarnModifyAcls,
	} {
		if v := conf.Get(d.conf, o); v != "" {
			out[access] = v
		}
	}
	return out
}

// giveBack undoes a deployment as far as it went, also after the end of ctx: the application is killed if it may exist,
// and its directory removed.
func (d *Descriptor) giveBack(ctx context.Context, id records.ApplicationID, s staging, submitted bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	var err error
	if submitted {
		if err = d.web.Kill(ctx, id); errors.Is(err, webservice.ErrNotFound) {
			err = nil
		}
	}
	return errors.Join(err, s.remove(ctx, id.String()))
}
