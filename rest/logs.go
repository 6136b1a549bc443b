package rest

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/weftstream/weft/rest/api"
)

// launchScript is where YARN leaves a copy of the container's environment, secrets included.
const launchScript = "launch_container.sh"

func (s *Server) logs(*call) (any, error) {
	out := api.Logs{Logs: []api.LogFile{}}
	if s.c.LogDir == "" {
		return out, nil
	}
	entries, err := os.ReadDir(s.c.LogDir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || e.Name() == launchScript {
			continue // a file may be rolled away meanwhile
		}
		out.Logs = append(out.Logs, api.LogFile{Name: e.Name(), Size: info.Size(), MTime: info.ModTime().UnixMilli()})
	}
	slices.SortFunc(out.Logs, func(a, b api.LogFile) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (s *Server) logFile(c *call) (any, error) { return s.sendLog(c, c.PathValue("filename")) }

func (s *Server) namedLog(name string) handler {
	return func(c *call) (any, error) { return s.sendLog(c, name) }
}

// sendLog sends a file of the log directory: as it is now, so that one that grows meanwhile ends where it ended.
func (s *Server) sendLog(c *call, name string) (any, error) {
	absent := notFound("log file %q not found; GET /jobmanager/logs lists them", name)
	if s.c.LogDir == "" || name == "" || name == launchScript || strings.ContainsAny(name, `/\`) {
		return nil, absent
	}
	root, err := os.OpenRoot(s.c.LogDir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// A name could be a pipe, which would be waited for, or lead out of the directory: Root refuses the latter.
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, absent
	}
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absent
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := c.w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": name}))
	c.w.WriteHeader(http.StatusOK)
	if c.Method != http.MethodHead {
		_, _ = io.Copy(c.w, io.LimitReader(f, info.Size())) // an error means that the client has gone
	}
	return written{}, nil
}
