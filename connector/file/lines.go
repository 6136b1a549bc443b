package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/weftstream/weft/filesystem"
	"github.com/weftstream/weft/stream"
)

const (
	minSplit = 1 << 20
	maxSplit = 64 << 20
	// maxFiles bounds the files packed into one split.
	maxFiles = 1024
	// splitsPerReader is how many splits a reader gets on average: enough that a slow one doesn't keep the others waiting.
	splitsPerReader = 8
)

// Lines reads the lines of files, without their ends (\n or \r\n). A path is a file, a directory (its files, not those of
// directories in it, and none whose name begins with . or _) or a pattern (path.Match per segment, {a,b} for either). It
// may have a scheme (hdfs://nn/logs/*.txt); a relative local path begins at the working directory of the process that
// reads it, so on a cluster only absolute ones make sense. Nothing at a path, or nothing that matches it, fails the job
// before anything is read.
//
// A line is at most 16 MiB long. It shares memory with the block it was read from: what state keeps of it is copied.
func Lines(paths ...string) stream.Source[string] { return source{paths} }

type source struct{ paths []string }

func (source) String() string { return "Lines" }

// piece is what of a file a reader reads: the lines that begin in [Offset, End).
type piece struct {
	URI    string `json:"uri"`
	Offset int64  `json:"offset,omitempty"`
	End    int64  `json:"end"`
}

// splits hands out what is left.
type splits struct{ left [][]byte }

// Splits lists the files.
func (s source) Splits(rt *stream.Runtime, snapshot []byte) (stream.Splits, error) {
	if snapshot != nil {
		sp := &splits{}
		if err := json.Unmarshal(snapshot, &sp.left); err != nil {
			return nil, fmt.Errorf("read lines: splits of the snapshot: %w", err)
		}
		return sp, nil
	}
	if len(s.paths) == 0 {
		return nil, errors.New("read lines: no path is given")
	}
	var files []located
	for _, p := range s.paths {
		found, err := find(rt.Context(), rt.Files(), p)
		if err != nil {
			return nil, fmt.Errorf("read lines of %q: %w", p, err)
		}
		files = append(files, found...)
	}
	return cut(files, rt.Parallelism)
}

type located struct {
	fsys filesystem.FileSystem
	info filesystem.Info
}

// find lists the files of one path.
func find(ctx context.Context, set *filesystem.Set, location string) ([]located, error) {
	fsys, path, err := set.Resolve(location)
	if err != nil {
		return nil, err
	}
	info, err := fsys.Stat(ctx, path)
	switch {
	case err == nil:
		return expand(ctx, fsys, info)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case !strings.ContainsAny(path, "*?[{"):
		return nil, fmt.Errorf("there is no such file or directory: %w", err)
	}
	matches, err := fsys.Glob(ctx, path)
	if err != nil {
		return nil, err
	}
	var files []located
	for _, m := range matches {
		if hidden(m.Name()) {
			continue
		}
		more, err := expand(ctx, fsys, m)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no file matches the pattern: %w", fs.ErrNotExist)
	}
	return files, nil
}

// expand is the file itself, or the files of a directory.
func expand(ctx context.Context, fsys filesystem.FileSystem, info filesystem.Info) ([]located, error) {
	if !info.IsDir {
		return []located{{fsys, info}}, nil
	}
	entries, err := fsys.List(ctx, info.Path)
	if err != nil {
		return nil, err
	}
	var files []located
	for _, e := range entries {
		if !e.IsDir && !hidden(e.Name()) {
			files = append(files, located{fsys, e})
		}
	}
	return files, nil
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// cut makes splits of about the same size.
func cut(files []located, readers int) (*splits, error) {
	var total int64
	for _, f := range files {
		total += f.info.Size
	}
	size := min(max(total/int64(max(1, readers)*splitsPerReader), minSplit), maxSplit)
	sp := &splits{}
	var pack []piece
	var packed int64
	flush := func() error {
		if len(pack) == 0 {
			return nil
		}
		b, err := json.Marshal(pack)
		if err != nil {
			return fmt.Errorf("describe a split: %w", err)
		}
		sp.left = append(sp.left, b)
		pack, packed = pack[:0], 0
		return nil
	}
	for _, f := range files {
		for _, s := range filesystem.Splits(f.info, size) {
			if packed > 0 && packed+s.Length > size || len(pack) == maxFiles {
				if err := flush(); err != nil {
					return nil, err
				}
			}
			pack = append(pack, piece{f.fsys.URI(s.Path), s.Offset, s.Offset + s.Length})
			packed += s.Length
		}
	}
	return sp, flush()
}

func (s *splits) Next(int) ([]byte, bool, error) {
	if len(s.left) == 0 {
		return nil, false, nil
	}
	next := s.left[0]
	s.left = s.left[1:]
	return next, true, nil
}

func (s *splits) TakeBack(splits [][]byte) { s.left = append(s.left, splits...) }

func (s *splits) Snapshot() ([]byte, error) { return json.Marshal(s.left) }
