package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/cachedfile"
)

// maxRequestPart bounds the JSON of POST /jobs.
const maxRequestPart = 1 << 20

// javaStream is how a serialized Java object begins.
var javaStream = []byte{0xac, 0xed, 0x00, 0x05}

// submission is what POST /jobs carries.
type submission struct {
	request *api.SubmitRequest
	graph   *graph.JobGraph
}

// submit runs the job to its registration even if the client goes away meanwhile: the client then asks for the job's
// status, and a job id is never run twice.
func (s *Server) submit(c *call) (any, error) {
	sub, err := s.readSubmission(c)
	if err != nil {
		// A client that still sends wouldn't read the answer.
		_, _ = io.Copy(io.Discard, body(c.w, c.Request, s.maxContent()))
		return nil, err
	}
	if err := s.attachArtifact(c.Context(), sub); err != nil {
		return nil, err
	}
	if err := s.checkCachedFiles(c.Context(), sub.graph); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), conf.Get(s.c.Conf, conf.WebTimeout))
	defer cancel()
	id, err := c.Jobs.Submit(ctx, sub.graph)
	if err != nil {
		return nil, err
	}
	if ms := sub.request.HeartbeatTimeout; ms > 0 {
		s.heartbeats.expect(id, s.now().Add(time.Duration(ms)*time.Millisecond))
	}
	return with(http.StatusAccepted, api.SubmitResponse{JobURL: "/jobs/" + id.String(), JobID: id.String()}), nil
}

func (s *Server) maxContent() int64 {
	return int64(conf.Get(s.c.Conf, conf.RestServerMaxContentLength))
}

func (s *Server) readSubmission(c *call) (*submission, error) {
	defer func() { _ = c.w.control.SetReadDeadline(time.Time{}) }()
	if s.c.SubmitRefused != "" {
		return nil, fail(http.StatusForbidden, "%s", s.c.SubmitRefused)
	}
	limited := *c.Request
	limited.Body = io.NopCloser(body(c.w, c.Request, s.maxContent()))
	parts, err := limited.MultipartReader()
	if err != nil {
		return nil, badRequest("POST /jobs takes multipart/form-data with the parts %q and %q: %v", api.RequestPart,
			api.JobGraphPart, err)
	}
	sub := &submission{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, readFailure(err)
		}
		if err := sub.read(part); err != nil {
			return nil, err
		}
	}
	if sub.request == nil || sub.graph == nil {
		return nil, badRequest("a submission has the parts %q and %q; one is missing", api.RequestPart, api.JobGraphPart)
	}
	return sub, nil
}

func (sub *submission) read(part *multipart.Part) error {
	switch name := part.FormName(); name {
	case api.RequestPart:
		data, err := io.ReadAll(io.LimitReader(part, maxRequestPart))
		if err != nil {
			return readFailure(err)
		}
		sub.request = &api.SubmitRequest{}
		if err := json.Unmarshal(data, sub.request); err != nil {
			return badRequest("part %q isn't the JSON expected: %v", name, err)
		}
	case api.JobGraphPart:
		data, err := io.ReadAll(part)
		if err != nil {
			return readFailure(err)
		}
		if bytes.HasPrefix(data, javaStream) {
			return badRequest("this is a JobGraph of a Java program: a Weft cluster runs Go programs, submitted with weft run")
		}
		if t := part.Header.Get("Content-Type"); t != api.JobGraphType {
			return badRequest("part %q has the content type %q; a JobGraph of Weft has %s", name, t, api.JobGraphType)
		}
		sub.graph = &graph.JobGraph{}
		if err := proto.Unmarshal(data, sub.graph); err != nil {
			return badRequest("part %q can't be read as a JobGraph: %v", name, err)
		}
		if n := len(sub.graph.GetJobId()); n != len(graph.JobID{}) {
			return badRequest("the JobGraph's job id has %d bytes; it takes %d", n, len(graph.JobID{}))
		}
	default:
		return badRequest("part %q isn't known; a submission has the parts %q and %q", name, api.RequestPart, api.JobGraphPart)
	}
	return nil
}

// readFailure blames the client for a body that can't be read, except for its size, which has a status of its own.
func readFailure(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return err
	}
	return badRequest("the submission can't be read: %v", err)
}

// attachArtifact tells the JobGraph which uploaded executable its task hosts run. One with a URI is fetched from there.
func (s *Server) attachArtifact(ctx context.Context, sub *submission) error {
	a := sub.graph.GetArtifact()
	if a.GetUri() != "" {
		return nil
	}
	key, err := artifact.ParseKey(sub.request.ArtifactSHA256)
	if err != nil {
		return badRequest("the submission doesn't say which executable its task hosts run: artifactSha256: %v", err)
	}
	size, ok := int64(0), false
	if s.c.Artifacts != nil {
		if size, ok, err = s.c.Artifacts.Size(ctx, key); err != nil {
			return fmt.Errorf("look for executable %s: %w", key, err)
		}
	}
	if !ok {
		return fail(http.StatusPreconditionFailed, "this cluster doesn't have the executable %s: upload it with PUT "+
			"/weft/artifacts/%s, then submit the job again", key, key)
	}
	sub.graph.Artifact = &graph.Artifact{Sha256: key[:], Size: size, Name: a.GetName(), Platform: a.GetPlatform()}
	return nil
}

// checkCachedFiles refuses a job whose cached files nobody can fetch: uploaded ones that this cluster doesn't have, and local
// ones of the client's machine.
func (s *Server) checkCachedFiles(ctx context.Context, g *graph.JobGraph) error {
	if err := cachedfile.Validate(g.GetCachedFiles()); err != nil {
		return badRequest("%v", err)
	}
	if !cachedfile.Staged(g.GetCachedFiles()) {
		return badRequest("a cached file of the job is on the machine that submits it: upload it with PUT /weft/artifacts first")
	}
	for _, f := range g.GetCachedFiles() {
		if f.GetUri() != "" {
			continue
		}
		key, ok := artifact.Key(f.GetSha256()), false
		if s.c.Artifacts != nil {
			size, there, err := s.c.Artifacts.Size(ctx, key)
			if err != nil {
				return fmt.Errorf("look for cached file %s: %w", key, err)
			}
			ok = there && size == f.GetSize()
		}
		if !ok {
			return fail(http.StatusPreconditionFailed, "this cluster doesn't have the cached file %q: upload it with PUT "+
				"/weft/artifacts/%s, then submit the job again", f.GetName(), key)
		}
	}
	return nil
}
