package rest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/weftstream/weft/rest/api"
	"github.com/weftstream/weft/runtime/artifact"
)

func (c *call) artifactKey() (artifact.Key, error) {
	key, err := artifact.ParseKey(c.PathValue("sha256"))
	if err != nil {
		return key, unresolved("sha256", c.PathValue("sha256"))
	}
	return key, nil
}

// hasArtifact answers 200 or 404, with the executable's size as the content's length.
func (s *Server) hasArtifact(c *call) (any, error) {
	key, err := c.artifactKey()
	if err != nil {
		return nil, err
	}
	if s.c.Artifacts == nil {
		return nil, notFound("this cluster takes no executables")
	}
	size, ok, err := s.c.Artifacts.Size(c.Context(), key)
	if err != nil {
		return nil, fmt.Errorf("look for executable %s: %w", key, err)
	}
	if !ok {
		return nil, notFound("executable %s not found", key)
	}
	c.w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.WriteHeader(http.StatusOK)
	return written{}, nil
}

// putArtifact streams the executable into the store.
func (s *Server) putArtifact(c *call) (any, error) {
	key, err := c.artifactKey()
	if err != nil {
		return nil, err
	}
	switch {
	case s.c.SubmitRefused != "":
		return nil, fail(http.StatusForbidden, "%s", s.c.SubmitRefused)
	case s.c.Artifacts == nil:
		return nil, fail(http.StatusForbidden, "this cluster takes no executables")
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		return nil, unavailable("%d executables are being uploaded already; try again", maxUploads)
	}
	defer func() { _ = c.w.control.SetReadDeadline(time.Time{}) }()
	size, err := s.c.Artifacts.Put(c.Context(), key, body(c.w, c.Request, 0))
	if err != nil {
		return nil, fmt.Errorf("take executable %s: %w", key, err)
	}
	s.log.Info("executable uploaded", "sha256", key, "bytes", size, "client", c.RemoteAddr)
	return with(http.StatusCreated, api.ArtifactInfo{SHA256: key.String(), Size: size}), nil
}
