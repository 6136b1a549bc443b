package jobmaster

import (
	"bytes"
	"fmt"

	"github.com/weftstream/weft/link/linkpb"
)

// maxRequests bounds the requests to coordinators that wait for their answer. A subtask asks for one thing at a time, so
// this is far beyond what a job that behaves has.
const maxRequests = 1 << 16

// request is one to a coordinator that waits for the answer.
type request struct {
	host *host
	op   *coordinated
	seq  int64 // the subtask's host's
}

// coordination is the part of the core that routes requests of subtasks to coordinators and answers back. Hosts choose
// sequence numbers of their own; on the way to the coordinator the core's replaces them.
type coordination struct {
	coordinator *host // runs all coordinators
	requests    map[int64]request
	nextSeq     int64
}

func (c *core) coordinatorRequest(h *host, r *linkpb.CoordinatorRequest) {
	refuse := func(text string) {
		c.command(h, &linkpb.ToHost{Message: &linkpb.ToHost_CoordinatorResponse{
			CoordinatorResponse: &linkpb.CoordinatorResponse{Seq: r.GetSeq(), Error: text}}})
	}
	op := c.byOperator[idOf(r.GetOperator())]
	switch {
	case op == nil:
		refuse(fmt.Sprintf("operator %s has no coordinator", c.operatorOf(idOf(r.GetOperator()))))
		return
	case !c.coordinates(op):
		refuse("the coordinator of " + op.name + " is gone")
		return
	case len(c.requests) >= maxRequests:
		refuse(fmt.Sprintf("%d requests to coordinators wait for an answer", len(c.requests)))
		return
	}
	c.nextSeq++
	c.requests[c.nextSeq] = request{host: h, op: op, seq: r.GetSeq()}
	c.command(c.coordinator, &linkpb.ToHost{Message: &linkpb.ToHost_CoordinatorRequest{CoordinatorRequest: &linkpb.CoordinatorRequest{
		Seq: c.nextSeq, Operator: r.GetOperator(), Subtask: r.GetSubtask(), Attempt: r.GetAttempt(), Payload: r.GetPayload()}}})
}

func (c *core) coordinatorResponse(h *host, r *linkpb.CoordinatorResponse) {
	q, ok := c.requests[r.GetSeq()]
	if !ok || h != c.coordinator {
		return
	}
	delete(c.requests, r.GetSeq())
	c.command(q.host, &linkpb.ToHost{Message: &linkpb.ToHost_CoordinatorResponse{
		CoordinatorResponse: &linkpb.CoordinatorResponse{Seq: q.seq, Payload: r.GetPayload(), Error: r.GetError()}}})
}

// forgetRequests drops what a host that is gone has asked.
func (c *core) forgetRequests(h *host) {
	for seq, q := range c.requests {
		if q.host == h {
			delete(c.requests, seq)
		}
	}
}

// coordinates says that the coordinator of an operator runs, as far as the JobMaster knows.
func (c *core) coordinates(op *coordinated) bool {
	return c.coordinator != nil && !c.coordinator.gone && !(c.status == restarting && c.restarts(op.v))
}

// closeCoordinators ends the coordinators of the regions that restart, with the requests to them.
func (c *core) closeCoordinators() {
	for seq, q := range c.requests {
		if c.restarts(q.op.v) {
			delete(c.requests, seq)
		}
	}
	m := &linkpb.CloseCoordinators{}
	for _, k := range c.coordinators {
		if c.restarts(k.v) {
			m.Operators = append(m.Operators, bytes.Clone(k.id[:]))
		}
	}
	if k := c.coordinator; k != nil && !k.gone && (len(m.Operators) > 0 || c.wholeJob()) {
		c.command(k, &linkpb.ToHost{Message: &linkpb.ToHost_CloseCoordinators{CloseCoordinators: m}})
	}
}
