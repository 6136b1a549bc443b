package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/api"
)

// ErrOperationFailed is returned for a savepoint or checkpoint that was triggered and failed.
var ErrOperationFailed = errors.New("the cluster could not do it")

// newTrigger is an id under which a request may be repeated without being carried out twice.
func newTrigger() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Savepoint triggers a savepoint of a job and returns the id of the operation. directory may be empty: the cluster's default.
// With cancel the job is cancelled when the savepoint is complete. Errors wrap ErrNotFound or ErrConflict for a job that
// isn't there or has ended.
func (c *Client) Savepoint(ctx context.Context, id graph.JobID, directory string, cancel bool) (trigger string, err error) {
	r := api.SavepointRequest{Directory: directory, Cancel: cancel, Format: "CANONICAL", TriggerID: newTrigger()}
	return c.trigger(ctx, jobPath(id, "/savepoints"), r)
}

// Stop ends a job with a savepoint and returns the id of the operation; with drain its sources end first.
func (c *Client) Stop(ctx context.Context, id graph.JobID, directory string, drain bool) (trigger string, err error) {
	r := api.StopRequest{Directory: directory, Drain: drain, Format: "CANONICAL", TriggerID: newTrigger()}
	return c.trigger(ctx, jobPath(id, "/stop"), r)
}

// Checkpoint triggers a checkpoint of a job and returns the id of the operation.
func (c *Client) Checkpoint(ctx context.Context, id graph.JobID) (trigger string, err error) {
	return c.trigger(ctx, jobPath(id, "/checkpoints"), api.CheckpointRequest{TriggerID: newTrigger()})
}

// Dispose has the cluster remove a savepoint and returns the id of the operation.
func (c *Client) Dispose(ctx context.Context, path string) (trigger string, err error) {
	return c.trigger(ctx, "/savepoint-disposal", api.DisposalRequest{Path: path})
}

func (c *Client) trigger(ctx context.Context, path string, body any) (string, error) {
	b, n, err := jsonBody(body)
	if err != nil {
		return "", err
	}
	var out api.Triggered
	err = c.call(ctx, request{method: http.MethodPost, path: path, body: b, length: n, header: contentType("application/json")}, &out)
	return out.RequestID, err
}

// AwaitSavepoint waits for the end of what Savepoint or Stop triggered and returns the savepoint's path.
func (c *Client) AwaitSavepoint(ctx context.Context, id graph.JobID, trigger string) (path string, err error) {
	op, err := outcome(ctx, c, jobPath(id, "/savepoints/"+trigger), func(o *api.SavepointOperation) *api.Throwable { return o.Failure })
	if err != nil {
		return "", err
	}
	return op.Location, nil
}

// AwaitCheckpoint waits for the end of what Checkpoint triggered and returns the checkpoint's id.
func (c *Client) AwaitCheckpoint(ctx context.Context, id graph.JobID, trigger string) (int64, error) {
	op, err := outcome(ctx, c, jobPath(id, "/checkpoints/"+trigger), func(o *api.CheckpointOperation) *api.Throwable { return o.Failure })
	if err != nil {
		return 0, err
	}
	return op.ID, nil
}

// AwaitDisposal waits for the end of what Dispose triggered.
func (c *Client) AwaitDisposal(ctx context.Context, trigger string) error {
	_, err := outcome(ctx, c, "/savepoint-disposal/"+trigger, func(o *api.DisposalOperation) *api.Throwable { return o.Failure })
	return err
}

// outcome asks until the operation at path is over, and how it ended; the endpoint waits for that before it answers.
func outcome[T any](ctx context.Context, c *Client, path string, failure func(*T) *api.Throwable) (*T, error) {
	for {
		asked := time.Now()
		var out api.OperationStatus[T]
		if err := c.call(ctx, request{method: http.MethodGet, path: path, query: waiting, patience: pollWait}, &out); err != nil {
			return nil, err
		}
		if out.Operation != nil {
			f := failure(out.Operation)
			if f == nil {
				return out.Operation, nil
			}
			text, _, _ := strings.Cut(f.StackTrace, "\n")
			return nil, fmt.Errorf("%w: %s", ErrOperationFailed, strings.TrimPrefix(text, f.Class+": "))
		}
		if err := again(ctx, asked); err != nil {
			return nil, err
		}
	}
}
