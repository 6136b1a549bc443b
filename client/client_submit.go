package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/artifact"
	"github.com/weftstream/weft/runtime/cachedfile"
)

// SubmitOptions are what a submission may have besides the job.
type SubmitOptions struct {
	// HeartbeatTimeout has the cluster cancel the job when no Heartbeat comes for that long; 0 doesn't.
	HeartbeatTimeout time.Duration
}

// Submit submits g and returns its id when the cluster has recorded the job. The task hosts run the executable at path,
// which is uploaded unless the cluster has it already; if g's Artifact has a URI they get it from there, and path isn't
// looked at. So are the graph's cached files that are on this machine. A graph without a job id gets one.
//
// Errors name the request and not the job: that is left to the caller.
//
// A job is never submitted twice: after a request whose outcome isn't known the job's status is asked for first.
func (c *Client) Submit(ctx context.Context, g *graph.JobGraph, path string) (graph.JobID, error) {
	return c.SubmitWith(ctx, g, path, SubmitOptions{})
}

// SubmitWith is Submit with options.
func (c *Client) SubmitWith(ctx context.Context, g *graph.JobGraph, path string, o SubmitOptions) (graph.JobID, error) {
	g = proto.CloneOf(g)
	if len(g.GetJobId()) == 0 {
		id := graph.NewJobID()
		g.JobId = id[:]
	}
	s := &submission{c: c, id: g.ID(), graph: g, cached: g.GetCachedFiles(), path: path, request: api.SubmitRequest{
		JobGraphFileName: "flink-jobgraph-" + g.ID().String() + ".bin", JobJarFileNames: []string{},
		ArtifactFileNames: []api.Empty{}, HeartbeatTimeout: o.HeartbeatTimeout.Milliseconds()}}
	return s.run(ctx)
}

// submission is one call of SubmitWith.
type submission struct {
	c       *Client
	id      graph.JobID
	graph   *graph.JobGraph
	cached  []*graph.CachedFile // as they were given; graph has them as they were uploaded
	path    string
	request api.SubmitRequest
}

func (s *submission) run(ctx context.Context) (graph.JobID, error) {
	if err := s.provide(ctx); err != nil {
		return s.id, err
	}
	ambiguous := false
	attempts := 1 + conf.Get(s.c.o.conf, conf.RestRetryMaxAttempts)
	for attempt := 1; ; attempt++ {
		id, err := s.post(ctx)
		switch {
		case err == nil:
			return id, nil
		case ambiguous && errors.Is(err, ErrConflict):
			return s.id, nil // an earlier attempt of ours was taken after all
		case isStatus(err, http.StatusPreconditionFailed) && attempt == 1:
			// What was uploaded has gone since we asked, with the JobManager's node: upload it again.
			if err := s.provide(ctx); err != nil {
				return s.id, err
			}
			continue
		case errors.Is(err, ErrUnreachable):
			ambiguous = true
		}
		if unreachable := (*UnreachableError)(nil); errors.As(err, &unreachable) {
			unreachable.Attempts = attempt
		}
		if ctx.Err() != nil || attempt >= attempts || !passing(err) {
			return s.id, err
		}
		if sleep(ctx, conf.Get(s.c.o.conf, conf.RestRetryDelay)) != nil {
			return s.id, err
		}
		if _, found := s.c.status(ctx, s.id, false); found == nil {
			return s.id, nil
		} else if !notFound(found) {
			return s.id, fmt.Errorf("whether the cluster took the job isn't known: %w; then asked for its status: %w", err, found)
		}
	}
}

// post sends the job once.
func (s *submission) post(ctx context.Context) (graph.JobID, error) {
	body, kind, err := s.encode()
	if err != nil {
		return s.id, err
	}
	var out api.SubmitResponse
	err = s.c.call(ctx, request{method: http.MethodPost, path: "/jobs", header: contentType(kind), once: true,
		body:   func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		length: int64(len(body)), patience: conf.Get(s.c.o.conf, conf.ClientTimeout)}, &out)
	if err != nil {
		return s.id, err
	}
	return graph.ParseJobID(out.JobID)
}

// encode makes the multipart body, and says its content type.
func (s *submission) encode() ([]byte, string, error) {
	job, err := proto.Marshal(s.graph)
	if err != nil {
		return nil, "", fmt.Errorf("encode JobGraph: %w", err)
	}
	head, err := json.Marshal(s.request)
	if err != nil {
		return nil, "", fmt.Errorf("write request as JSON: %w", err)
	}
	var buf bytes.Buffer // writing to it never fails
	w := multipart.NewWriter(&buf)
	part := func(name, file, kind string, data []byte) {
		h := textproto.MIMEHeader{"Content-Type": {kind}}
		h.Set("Content-Disposition", multipart.FileContentDisposition(name, file))
		if file == "" {
			h.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q", name))
		}
		p, _ := w.CreatePart(h)
		_, _ = p.Write(data)
	}
	part(api.RequestPart, "", "application/json", head)
	part(api.JobGraphPart, s.request.JobGraphFileName, api.JobGraphType, job)
	w.Close()
	return buf.Bytes(), w.FormDataContentType(), nil
}

// provide makes sure that the cluster has the executable and the cached files of this machine, and notes their hashes.
func (s *submission) provide(ctx context.Context) error {
	if s.graph.GetArtifact().GetUri() == "" {
		if err := s.provideExecutable(ctx); err != nil {
			return err
		}
	}
	s.graph.CachedFiles = nil
	for _, f := range s.cached {
		s.graph.CachedFiles = append(s.graph.CachedFiles, proto.CloneOf(f))
	}
	return cachedfile.Stage(ctx, s.graph.CachedFiles, s.c.putFile)
}

// putFile is a cachedfile.Put.
func (c *Client) putFile(ctx context.Context, path string) (artifact.Artifact, error) {
	sum, size, err := hashFile(path)
	if err != nil {
		return artifact.Artifact{}, fmt.Errorf("read %s: %w", path, err)
	}
	if err := c.upload(ctx, path, hex.EncodeToString(sum), size); err != nil {
		return artifact.Artifact{}, fmt.Errorf("upload %s: %w", path, err)
	}
	return artifact.Artifact{SHA256: artifact.Key(sum), Size: size}, nil
}

func (s *submission) provideExecutable(ctx context.Context) error {
	sum, size, err := hashFile(s.path)
	if err != nil {
		return fmt.Errorf("read executable: %w", err)
	}
	digest := hex.EncodeToString(sum)
	if err := s.c.upload(ctx, s.path, digest, size); err != nil {
		return fmt.Errorf("upload executable %s: %w", s.path, err)
	}
	s.request.ArtifactSHA256 = digest
	if s.graph.Artifact == nil {
		s.graph.Artifact = &graph.Artifact{Name: filepath.Base(s.path)}
	}
	s.graph.Artifact.Sha256, s.graph.Artifact.Size = sum, size
	return nil
}

// upload sends the file unless the endpoint has it. It may be repeated: what arrives is kept under its hash.
func (c *Client) upload(ctx context.Context, path, digest string, size int64) error {
	at := "/weft/artifacts/" + digest
	err := c.call(ctx, request{method: http.MethodHead, path: at}, nil)
	if err == nil || !notFound(err) {
		return err
	}
	return c.call(ctx, request{method: http.MethodPut, path: at, length: size, patience: -1,
		// Before the whole file is sent the endpoint may say that it doesn't want it.
		header: http.Header{"Content-Type": {"application/octet-stream"}, "Expect": {"100-continue"}},
		body: func() (io.ReadCloser, error) {
			f, err := os.Open(path)
			if err != nil {
				return nil, fmt.Errorf("open %s: %w", path, err)
			}
			return &reportingFile{f: f, total: size, report: c.o.progress}, nil
		}}, nil)
}

// reportingFile tells how much of it has been read. The file isn't embedded: its other methods would have the kernel send
// it past Read.
type reportingFile struct {
	f           *os.File
	sent, total int64
	report      func(sent, total int64)
}

func (f *reportingFile) Read(b []byte) (int, error) {
	n, err := f.f.Read(b)
	if f.report != nil && n > 0 {
		f.sent += int64(n)
		f.report(f.sent, f.total)
	}
	return n, err
}

func (f *reportingFile) Close() error { return f.f.Close() }

func hashFile(path string) ([]byte, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return nil, 0, err
	}
	return sum.Sum(nil), size, nil
}

func isStatus(err error, status int) bool {
	e := (*APIError)(nil)
	return errors.As(err, &e) && e.Status == status
}
