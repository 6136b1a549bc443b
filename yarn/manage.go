package yarn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"strconv"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/runtime/rpc"
	"github.com/weftstream/weft/yarn/webservice"
)

// application asks for the report on an application that a user named.
func (d *Descriptor) application(ctx context.Context, id string) (records.ApplicationID, webservice.Application, error) {
	app, err := records.ParseApplicationID(id)
	if err != nil {
		return app, webservice.Application{}, err
	}
	report, err := d.web.Application(ctx, app)
	if errors.Is(err, webservice.ErrNotFound) {
		err = fmt.Errorf("%w: YARN knows no application %s (any more)", client.ErrNotFound, id)
	}
	return app, report, err
}

// Retrieve implements client.ClusterDescriptor.
func (d *Descriptor) Retrieve(ctx context.Context, id string) (*client.Cluster, error) {
	_, app, err := d.application(ctx, id)
	if err != nil {
		return nil, err
	}
	if app.State.Ended() {
		return nil, fmt.Errorf("%w: %w", client.ErrEnded, deploymentError(app))
	}
	host, port, ok := app.AMAddress()
	if app.State != webservice.StateRunning || !ok {
		return nil, fmt.Errorf("%s isn't running yet: its state is %s %s", id, app.State, app.Diagnostics)
	}
	c := &client.Cluster{ID: id, Endpoint: "http://" + net.JoinHostPort(host, strconv.Itoa(port)), TrackingURL: app.TrackingURL}
	if conf.Get(d.conf, conf.SecurityRestAuthentication) == "none" {
		return c, nil
	}
	s, err := d.openStaging()
	if err != nil {
		return nil, err
	}
	c.Token, err = d.readToken(ctx, s, id)
	return c, err
}

// readToken reads the token of a cluster's REST endpoint, which only its owner can.
func (d *Descriptor) readToken(ctx context.Context, s staging, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	file := path.Join(s.application(id), tokenFile)
	b, err := filesystem.ReadFile(ctx, s.fs, file, 1<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read the REST token of %s: there is none at %s; was it deployed by another user, or with another %s? %w",
			id, s.fs.URI(file), conf.YarnStagingDirectory.Key(), client.ErrUnauthorized)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("read the REST token of %s: user %s may not: %w: %w", id, d.user, err, client.ErrUnauthorized)
	case err != nil:
		return "", fmt.Errorf("read the REST token of %s: %w", id, err)
	}
	token, err := rpc.ParseToken(string(b))
	if err != nil {
		return "", fmt.Errorf("read the REST token of %s from %s: %w", id, s.fs.URI(file), err)
	}
	return string(token), nil
}

// Report implements client.ClusterDescriptor.
func (d *Descriptor) Report(ctx context.Context, id string) (client.Report, error) {
	_, app, err := d.application(ctx, id)
	if err != nil {
		return client.Report{}, err
	}
	r := client.Report{
		ID: app.ID, Name: app.Name, User: app.User, Queue: app.Queue, State: stateOf(app), Diagnostics: app.Diagnostics,
		TrackingURL: app.TrackingURL, StartMS: app.StartedTime, EndMS: app.FinishedTime,
	}
	if host, port, ok := app.AMAddress(); ok && r.State == client.Running {
		r.Endpoint = "http://" + net.JoinHostPort(host, strconv.Itoa(port))
	}
	return r, nil
}

// stateOf maps YARN's state and the application's own final status.
func stateOf(app webservice.Application) client.State {
	switch app.State {
	case webservice.StateRunning:
		return client.Running
	case webservice.StateFailed:
		return client.Failed
	case webservice.StateKilled:
		return client.Killed
	case webservice.StateFinished:
		switch app.FinalStatus {
		case "SUCCEEDED":
			return client.Succeeded
		case "KILLED":
			return client.Killed
		}
		return client.Failed
	}
	return client.Pending
}

// Kill implements client.ClusterDescriptor.
func (d *Descriptor) Kill(ctx context.Context, id string) error {
	app, report, err := d.application(ctx, id)
	if err != nil {
		return err
	}
	if !report.State.Ended() {
		if err := d.web.Kill(ctx, app); err != nil {
			return err
		}
	}
	s, err := d.openStaging()
	if err != nil {
		return err
	}
	return s.remove(ctx, id)
}

// remove removes an application's directory, if there is one.
func (s staging) remove(ctx context.Context, id string) error {
	err := s.fs.Remove(ctx, s.application(id), true)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("remove %s: %w", s.fs.URI(s.application(id)), err)
}
