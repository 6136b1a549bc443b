package yarn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/weftstream/weft/client"
	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/webservice"
)

const (
	// pollFast is how often the report is read at first, pollSlow later.
	pollFast  = 100 * time.Millisecond
	pollSlow  = 500 * time.Millisecond
	fastPhase = 10 * time.Second
	// reasonInterval is how often a waiting application is explained, and reasonRepeat how often if nothing changed.
	reasonInterval = 3 * time.Second
	reasonRepeat   = 30 * time.Second
	// lostTimeout is how long YARN may not answer before the deployment is given up.
	lostTimeout = 2 * time.Minute
	// endpointTimeout is how long the REST endpoint of a running application may take to accept a connection.
	endpointTimeout = 30 * time.Second
)

// DeploymentError says that YARN ended an application instead of running it.
type DeploymentError struct {
	ID          string
	State       string // FAILED, KILLED, or FINISHED with another final status than SUCCEEDED
	FinalStatus string
	Diagnostics string
	// LogURL is where the application master's logs can be seen; "" if it never had a container.
	LogURL string
}

// Error names the application, YARN's reason and where to look next.
func (e *DeploymentError) Error() string {
	state := e.State
	if e.State == string(webservice.StateFinished) {
		state = e.FinalStatus
	}
	s := fmt.Sprintf("%s ended %s", e.ID, state)
	if e.Diagnostics != "" {
		s += ": " + strings.TrimSpace(e.Diagnostics)
	}
	s += fmt.Sprintf("\nits logs: yarn logs -applicationId %s", e.ID)
	if e.LogURL != "" {
		s += ", or " + e.LogURL
	}
	return s
}

// await polls until the application's endpoint accepts connections, and says why it takes so long.
func (d *Descriptor) await(ctx context.Context, id records.ApplicationID, mode string, master records.Resource) (*client.Cluster, error) {
	started := time.Now()
	w := waiting{since: started}
	for {
		app, err := d.web.Application(ctx, id)
		if err != nil && ctx.Err() == nil && w.patient(err) {
			d.log.Warn("YARN can't be asked how the application is, asking again", "error", err)
			if err = sleep(ctx, pollSlow); err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		w.lost = time.Time{}
		if app.State != w.state {
			w.state = app.State
			d.log.Info("Application "+id.String()+" is "+string(app.State), "after", time.Since(started).Round(time.Millisecond))
		}
		switch {
		case ran(app, mode):
			return &client.Cluster{ID: id.String(), TrackingURL: app.TrackingURL}, nil
		case app.State.Ended():
			return nil, deploymentError(app)
		case app.State == webservice.StateRunning:
			return d.awaitEndpoint(ctx, id, mode, app)
		}
		d.tellReason(ctx, &w, app, master)
		pause := pollFast
		if time.Since(started) > fastPhase {
			pause = pollSlow
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// ran says whether the application has ended by itself already: its deployment succeeded then. Application mode may be that
// short and end in any way, which the application's report tells; other clusters that ended are of no use unless all went
// well.
func ran(app webservice.Application, mode string) bool {
	return app.State == webservice.StateFinished && (app.FinalStatus == "SUCCEEDED" || mode == modeApplication)
}

func deploymentError(app webservice.Application) *DeploymentError {
	return &DeploymentError{ID: app.ID, State: string(app.State), FinalStatus: app.FinalStatus, Diagnostics: app.Diagnostics,
		LogURL: app.AMContainerLogs}
}

// waiting is what has been said of an application that waits.
type waiting struct {
	state  webservice.State
	since  time.Time
	looked time.Time // for the reason
	reason string
	told   time.Time
	lost   time.Time // since when YARN hasn't answered; zero while it does
}

// patient says whether to go on asking: a YARN ResourceManager that restarts has the application again afterwards.
// Until it has, it says that it knows no such application.
func (w *waiting) patient(err error) bool {
	if errors.Is(err, webservice.ErrForbidden) {
		return false
	}
	if w.lost.IsZero() {
		w.lost = time.Now()
	}
	return time.Since(w.lost) < lostTimeout
}

// tellReason logs every few seconds why the application waits, if that has changed or was long ago.
func (d *Descriptor) tellReason(ctx context.Context, w *waiting, app webservice.Application, master records.Resource) {
	if now := time.Now(); now.Sub(w.since) < reasonInterval || now.Sub(w.looked) < reasonInterval {
		return
	}
	reason := d.waitReason(ctx, app, master)
	w.looked = time.Now()
	if reason == w.reason && time.Since(w.told) < reasonRepeat {
		return
	}
	w.reason, w.told = reason, time.Now()
	d.log.Warn(fmt.Sprintf("Application %s has been waiting for %s: %s", app.ID, time.Since(w.since).Round(time.Second), reason))
}

// waitReason puts together what YARN says and what its numbers show.
func (d *Descriptor) waitReason(ctx context.Context, app webservice.Application, master records.Resource) string {
	var reasons []string
	if text := strings.TrimSpace(app.Diagnostics); text != "" {
		reasons = append(reasons, text)
	}
	scheduler, serr := d.web.Scheduler(ctx)
	nodes, nerr := d.web.Nodes(ctx)
	if serr == nil && nerr == nil {
		if s := shortage(leafQueue(scheduler, app.Queue), nodes, 1, master, true); s != "" {
			reasons = append(reasons, s)
		}
	}
	if len(reasons) == 0 {
		return fmt.Sprintf("queue %s hasn't given its application master a container yet", app.Queue)
	}
	return strings.Join(reasons, "; ")
}

// awaitEndpoint returns the cluster once its REST endpoint accepts connections. An application master that is RUNNING has
// registered with the endpoint's address, so as a rule that is at once.
func (d *Descriptor) awaitEndpoint(ctx context.Context, id records.ApplicationID, mode string, app webservice.Application) (*client.Cluster, error) {
	deadline := time.Now().Add(endpointTimeout)
	for {
		host, port, ok := app.AMAddress()
		err := errors.New("YARN doesn't show its address")
		if ok {
			address := net.JoinHostPort(host, strconv.Itoa(port))
			if err = dial(ctx, address); err == nil {
				return &client.Cluster{ID: id.String(), Endpoint: "http://" + address, TrackingURL: app.TrackingURL}, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s is running, but its REST endpoint doesn't answer: %w", id, err)
		}
		if err := sleep(ctx, pollFast); err != nil {
			return nil, err
		}
		if app, err = d.web.Application(ctx, id); err != nil {
			return nil, err
		}
		switch {
		case ran(app, mode):
			return &client.Cluster{ID: id.String(), TrackingURL: app.TrackingURL}, nil
		case app.State.Ended():
			return nil, deploymentError(app)
		}
	}
}

func dial(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
