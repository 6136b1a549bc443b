package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/executor"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/link/linkpb"
	"github.com/weftstream/weft/rest/api"
)

// infoOptions are info's.
type infoOptions struct {
	commonOptions
	programOptions
}

func infoVerb(env *Env) verb {
	o := &infoOptions{}
	return verb{program: true, json: &o.json, command: &cli.Command{
		Name: "info", Usage: "show the plan of an application's first job, without running it",
		ArgsUsage: "[options] <application> [arguments]", Description: `The application's driver runs here until it submits its first job. No cluster is contacted.

The plan is printed as JSON, in the form of GET /jobs/:jobid/plan, and then drawn for people: each vertex with a number, its
parallelism and its operators with their uids, and above it the edges that reach it, with how records are distributed, which
vertex and operator they are from, which input they are for, and the side output that they are of. With --json, there is only
the JSON.

Examples:
  weft info -p 4 ./wordcount --input hdfs:///text
  weft info --json ./wordcount | jq .nodes`,
		Flags: append(o.programOptions.flags(), o.commonOptions.flags()...),
		Action: func(c *cli.Context) error {
			if err := o.check(c.Args().Slice()); err != nil {
				return err
			}
			return info(c.Context, env, o)
		},
	}}
}

// info prints the plan of the first job that the application submits.
func info(ctx context.Context, env *Env, o *infoOptions) error {
	settings, err := o.programOptions.settings(false)
	if err != nil {
		return err
	}
	s, err := env.load(&o.commonOptions, settings...)
	if err != nil {
		return err
	}
	app, err := s.application(ctx, o.application, o.class, need{driver: true})
	if err != nil {
		return err
	}
	defer app.close()
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p := &planner{conf: s.conf, stop: stop}
	var said bytes.Buffer // the application's own complaint about being stopped is of no use
	spec := executor.DriverSpec{Executable: app.driver(), Args: app.Args, Stdin: s.In, Stdout: io.Discard, Stderr: &said}
	_, err = executor.RunDriver(running, spec, p, newLogger(io.Discard, 0))
	g := p.planned()
	if g == nil {
		s.Err.Write(said.Bytes()) //nolint:errcheck // nothing can be done about a closed standard error
		return err
	}
	plan := planOf(g)
	text, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("write the plan as JSON: %w", err)
	}
	s.print.write(fmt.Sprintf("----------------------- Execution Plan -----------------------\n%s\n%s\n\n%s",
		text, strings.Repeat("-", 62), g.Draw()), plan)
	return nil
}

// planner keeps the first job that is submitted, and stops the driver. It is safe for concurrent use.
type planner struct {
	conf conf.Configuration
	stop context.CancelCauseFunc

	mu    sync.Mutex // guards graph
	graph *graph.JobGraph
}

var errPlanned = errors.New("the plan is made")

// Welcome implements link.DriverService.
func (p *planner) Welcome(context.Context) (map[string]string, bool, error) {
	return p.conf.Map(), false, nil
}

// Submit implements link.DriverService. It doesn't return until the driver has been stopped.
func (p *planner) Submit(ctx context.Context, g *graph.JobGraph) (graph.JobID, error) {
	p.mu.Lock()
	if p.graph == nil {
		p.graph = g
	}
	p.mu.Unlock()
	p.stop(errPlanned)
	<-ctx.Done()
	return g.ID(), errPlanned
}

// Await implements link.DriverService.
func (*planner) Await(context.Context, graph.JobID) (*linkpb.JobResult, error) {
	return nil, errPlanned
}

// Cancel implements link.DriverService.
func (*planner) Cancel(context.Context, graph.JobID) error { return errPlanned }

func (p *planner) planned() *graph.JobGraph {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.graph
}

// planOf is g as GET /jobs/:jobid/plan shows it: what reads comes before what it reads from.
func planOf(g *graph.JobGraph) api.Plan {
	p := api.Plan{JobID: g.ID().String(), Name: g.GetName(), Type: api.Streaming, Nodes: []api.PlanNode{}}
	if g.GetBounded() {
		p.Type = api.Batch
	}
	inputs := map[string][]api.PlanInput{}
	for _, e := range g.GetEdges() {
		target := string(e.GetTargetVertex())
		inputs[target] = append(inputs[target], api.PlanInput{Num: len(inputs[target]), ID: fmt.Sprintf("%x", e.GetSourceVertex()),
			ShipStrategy: e.GetPartitioning().String(), Exchange: "pipelined_bounded"})
	}
	for _, v := range slices.Backward(g.GetVertices()) {
		p.Nodes = append(p.Nodes, api.PlanNode{ID: fmt.Sprintf("%x", v.GetId()), Parallelism: int(v.GetParallelism()),
			Description: v.GetDescription(), Inputs: inputs[string(v.GetId())]})
	}
	return p
}
