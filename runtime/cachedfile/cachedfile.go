// Package cachedfile is Flink's distributed cache: files and directories that a job names and that every TaskManager brings
// to its local disk before it runs tasks of the job.
//
// Whoever submits a job calls Stage: files of its own machine go to where TaskManagers can reach them, under the SHA-256 of
// their content, a directory as one archive. Files of a shared file system stay where they are. On a TaskManager Fetch makes
// the job's local copies; each is there as a whole or not at all, and what was uploaded is checked against its SHA-256.
//
// Functions are safe for concurrent use, except that a directory is given to one Fetch at a time. Fetch joins the goroutines
// that it starts.
package cachedfile

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/graph"
)

// ErrScheme is returned for a location that TaskManagers can't fetch from.
var ErrScheme = errors.New("TaskManagers can't fetch from there")

// Check looks at the location of a file as a user gives it.
func Check(uri string) error {
	switch scheme := filesystem.Scheme(uri); {
	case uri == "":
		return errors.New("its location is empty")
	case scheme == "file":
		if _, err := localPath(uri); err != nil {
			return err
		}
	case scheme != "" && scheme != "hdfs" || scheme == "" && strings.Contains(uri, "://"):
		return fmt.Errorf("%s: %w; use an hdfs: URI, or a path of this machine", uri, ErrScheme)
	}
	return nil
}

// Local says whether uri is a file of the machine that names it: file:, or a path without scheme, whatever the default file
// system is.
func Local(uri string) bool {
	scheme := filesystem.Scheme(uri)
	return scheme == "" || scheme == "file"
}

// localPath is the absolute path of a local location.
func localPath(uri string) (string, error) {
	if filesystem.Scheme(uri) == "" {
		return filepath.Abs(uri)
	}
	var local filesystem.Set // knows file: alone
	_, p, err := local.Resolve(uri)
	return p, err
}

// Absolute is uri as it is written for other processes of this machine: a local one has its scheme and an absolute path.
func Absolute(uri string) (string, error) {
	if !Local(uri) {
		return uri, nil
	}
	p, err := localPath(uri)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", uri, err)
	}
	return filesystem.Local{}.URI(filepath.ToSlash(p)), nil
}

// New is a file as it was registered; registered says where, for people. The location is made absolute.
func New(name, uri string, executable bool, registered string) (*graph.CachedFile, error) {
	if err := Check(uri); err != nil {
		return nil, fmt.Errorf("cached file %q: %w", name, err)
	}
	absolute, err := Absolute(uri)
	if err != nil {
		return nil, fmt.Errorf("cached file %q: %w", name, err)
	}
	return &graph.CachedFile{Name: name, Uri: absolute, Executable: executable, FileName: baseName(absolute), Source: uri, Registered: registered}, nil
}

// baseName is what the local copy is called.
func baseName(uri string) string {
	switch b := path.Base(path.Clean("/" + uri)); b {
	case "/", ".", "..":
		return "file"
	default:
		return b
	}
}

// OfConfiguration are the files of pipeline.cached-files.
func OfConfiguration(c conf.Configuration) ([]*graph.CachedFile, error) {
	var files []*graph.CachedFile
	for _, e := range conf.Get(c, conf.PipelineCachedFiles) {
		f, err := New(e.Name, e.Path, e.Executable, conf.PipelineCachedFiles.Key())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", conf.PipelineCachedFiles.Key(), err)
		}
		if e.SHA256 != "" {
			f.Sha256, f.Size, f.Directory = mustHex(e.SHA256), e.Size, e.Directory
		}
		if e.File != "" {
			f.FileName = baseName(e.File)
		}
		files = append(files, f)
	}
	return files, nil
}

// Entry is a staged file as an entry of pipeline.cached-files, for a driver that runs on the cluster.
func Entry(f *graph.CachedFile) conf.CachedFile {
	e := conf.CachedFile{Name: f.GetName(), Path: f.GetUri(), Executable: f.GetExecutable()}
	if len(f.GetSha256()) > 0 {
		e.SHA256, e.Size, e.Directory, e.File = fmt.Sprintf("%x", f.GetSha256()), f.GetSize(), f.GetDirectory(), f.GetFileName()
	}
	return e
}

// Validate checks files that came over a link.
func Validate(files []*graph.CachedFile) error {
	seen := map[string]bool{}
	for _, f := range files {
		switch n := len(f.GetSha256()); {
		case f.GetName() == "":
			return errors.New("a cached file without a name")
		case seen[f.GetName()]:
			return fmt.Errorf("cached file %q is there twice", f.GetName())
		case n != 0 && n != 32 || f.GetSize() < 0:
			return fmt.Errorf("cached file %q: its SHA-256 has %d bytes and its size is %d", f.GetName(), n, f.GetSize())
		case f.GetUri() == "" && n == 0:
			return fmt.Errorf("cached file %q: neither where it is nor its SHA-256 is said", f.GetName())
		case f.GetFileName() == "" || f.GetFileName() == "." || f.GetFileName() == ".." || strings.ContainsAny(f.GetFileName(), "/\x00"):
			return fmt.Errorf("cached file %q: %q is no name for its copy", f.GetName(), f.GetFileName())
		}
		seen[f.GetName()] = true
	}
	return nil
}

// describe names a file for people.
func describe(f *graph.CachedFile) string {
	text := fmt.Sprintf("cached file %q", f.GetName())
	if f.GetRegistered() != "" {
		text += " (registered at " + f.GetRegistered() + ")"
	}
	return text
}
