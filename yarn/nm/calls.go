package nm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/weftstream/weft/hadoop/records"
	"github.com/weftstream/weft/yarn/internal/pb"
)

// StartRequest is one container to start.
type StartRequest struct {
	Container records.Container
	Launch    records.LaunchContext
}

// Command is a signal for a container.
type Command int32

// The commands; the numbers are YARN's.
const (
	OutputThreadDump Command = 1 // SIGQUIT, which ends a Go process that doesn't handle it
	GracefulShutdown Command = 2 // SIGTERM
	ForcefulShutdown Command = 3 // SIGKILL
)

// ContainerError is a NodeManager's refusal of one container.
type ContainerError struct {
	Method  string
	Node    records.NodeID
	ID      records.ContainerID
	Class   string // Java class of the exception
	Message string
}

// Error names the call, the container and the reason.
func (e *ContainerError) Error() string {
	return fmt.Sprintf("%s of %s on %s: %s", e.Method, e.ID, e.Node, e.Message)
}

// alreadyStarted are in a NodeManager's answer to a start that it has seen: by
// its token, or while the container runs.
var alreadyStarted = []string{"Attempt to relaunch the same container", "already is running on this node"}

// notHandled is in its answer to a question about a container it doesn't have.
const notHandled = "is not handled by this NodeManager"

// StartContainer hands one container to its NodeManager. When it returns nil
// the container is queued there; what goes wrong later, such as a file that
// can't be fetched, comes as a completed status from the YARN ResourceManager.
func (p *Pool) StartContainer(ctx context.Context, req StartRequest) error {
	c := req.Container
	launch, err := pb.FromLaunchContext(req.Launch)
	if err != nil {
		return fmt.Errorf("start %s: %w", c.ID, err)
	}
	var reply pb.StartContainersResponse
	repeated, err := p.call(ctx, c.Node, "startContainers", &pb.StartContainersRequest{
		StartContainerRequest: []*pb.StartContainerRequest{{
			ContainerLaunchContext: launch, ContainerToken: pb.FromToken(c.Token),
		}},
	}, &reply)
	if err != nil {
		return fmt.Errorf("start %s: %w", c.ID, err)
	}
	failed := slices.DeleteFunc(reply.GetFailedRequests(), func(f *pb.ContainerException) bool {
		// By the first try, whose reply was lost.
		return repeated && slices.ContainsFunc(alreadyStarted, func(text string) bool {
			return strings.Contains(f.GetException().Text(), text)
		})
	})
	return failures("startContainers", c.Node, failed)
}

// StartContainers starts containers in parallel, one call each, since a
// NodeManager works off a batch one by one. It returns one error or nil per
// request, in their order, when all are done.
func (p *Pool) StartContainers(ctx context.Context, reqs []StartRequest) []error {
	errs := make([]error, len(reqs))
	next := make(chan int, len(reqs))
	for i := range reqs {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range min(p.cfg.Parallelism, len(reqs)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = p.StartContainer(ctx, reqs[i])
			}
		})
	}
	wg.Wait()
	return errs
}

// StopContainers has containers of one node killed: SIGTERM, and a moment later
// SIGKILL. It returns when the NodeManager has taken the order. Containers that
// it doesn't know count as stopped.
func (p *Pool) StopContainers(ctx context.Context, node records.NodeID, ids ...records.ContainerID) error {
	if len(ids) == 0 {
		return nil
	}
	var reply pb.StopContainersResponse
	_, err := p.call(ctx, node, "stopContainers", &pb.StopContainersRequest{ContainerId: pb.FromContainerIDs(ids)}, &reply)
	if err != nil {
		return fmt.Errorf("stop %v: %w", ids, err)
	}
	known := slices.DeleteFunc(reply.GetFailedRequests(), func(f *pb.ContainerException) bool {
		return strings.Contains(f.GetException().Text(), notHandled)
	})
	return failures("stopContainers", node, known)
}

// GetContainerStatuses asks a node for its containers. Those it doesn't know
// are missing from the list and named in the error, which may be a
// *ContainerError or several of them joined.
func (p *Pool) GetContainerStatuses(ctx context.Context, node records.NodeID, ids ...records.ContainerID) ([]records.ContainerStatus, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var reply pb.GetContainerStatusesResponse
	_, err := p.call(ctx, node, "getContainerStatuses", &pb.GetContainerStatusesRequest{ContainerId: pb.FromContainerIDs(ids)}, &reply)
	if err != nil {
		return nil, fmt.Errorf("get the status of %v: %w", ids, err)
	}
	return pb.Records(reply.GetStatus()), failures("getContainerStatuses", node, reply.GetFailedRequests())
}

// Signal sends a signal to the processes of a container.
func (p *Pool) Signal(ctx context.Context, node records.NodeID, id records.ContainerID, cmd Command) error {
	_, err := p.call(ctx, node, "signalToContainer", &pb.SignalContainerRequest{
		ContainerId: pb.FromContainerID(id), Command: pb.SignalContainerCommand(cmd).Enum(),
	}, &pb.SignalContainerResponse{})
	if err != nil {
		return fmt.Errorf("signal %s: %w", id, err)
	}
	return nil
}

// failures turns what a reply says of single containers into one error.
func failures(method string, node records.NodeID, list []*pb.ContainerException) error {
	var errs []error
	for _, f := range list {
		// Of several lines the later ones tell the reason.
		text, _, _ := strings.Cut(f.GetException().Text(), "\n\tat ")
		text = strings.Join(strings.Fields(text), " ")
		errs = append(errs, &ContainerError{
			Method: method, Node: node, ID: f.GetContainerId().Record(),
			Class: f.GetException().GetClassName(), Message: text,
		})
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}
