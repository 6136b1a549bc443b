package cachedfile

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/weftstream/weft/conf"
	"github.com/weftstream/weft/graph"
	"github.com/weftstream/weft/runtime/artifact"
)

// Put brings a local file, which may be removed afterwards, to where TaskManagers can fetch it, unless it is there. An
// artifact without a URI is one that the JobManager serves by its hash.
type Put func(ctx context.Context, path string) (artifact.Artifact, error)

// ToCache puts files into c.
func ToCache(c *artifact.Cache) Put {
	return func(ctx context.Context, path string) (artifact.Artifact, error) {
		a, _, err := c.Put(ctx, path, nil)
		return a, err
	}
}

// Staged says whether nothing is left for Stage to do.
func Staged(files []*graph.CachedFile) bool {
	for _, f := range files {
		if pending(f) {
			return false
		}
	}
	return true
}

// pending says that a file is on this machine and nobody has uploaded it.
func pending(f *graph.CachedFile) bool { return len(f.GetSha256()) == 0 && Local(f.GetUri()) }

// Find looks whether the local ones of files are there, before anything is made for them.
func Find(files []*graph.CachedFile) error {
	for _, f := range files {
		if !pending(f) {
			continue
		}
		if _, _, err := find(f); err != nil {
			return fmt.Errorf("provide %s: %w", describe(f), err)
		}
	}
	return nil
}

// find looks at a local file.
func find(f *graph.CachedFile) (path string, info fs.FileInfo, err error) {
	if err := Check(f.GetUri()); err != nil {
		return "", nil, err
	}
	if path, err = localPath(f.GetUri()); err != nil {
		return "", nil, err
	}
	if info, err = os.Stat(path); err != nil {
		return "", nil, fmt.Errorf("find %s on %s: %w", path, hostname(), err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("%s is neither a file nor a directory (%s)", path, info.Mode())
	}
	return path, info, nil
}

func hostname() string {
	if host, err := os.Hostname(); err == nil {
		return host
	}
	return "this machine"
}

// Stage hands the local ones of files to put and notes in them where they are now. With a nil put, it refuses them. A file
// whose owner may execute it stays executable. What was put before an error stays.
func Stage(ctx context.Context, files []*graph.CachedFile, put Put) error {
	for _, f := range files {
		if !pending(f) {
			continue
		}
		if err := stage(ctx, f, put); err != nil {
			return fmt.Errorf("provide %s: %w", describe(f), err)
		}
	}
	return nil
}

func stage(ctx context.Context, f *graph.CachedFile, put Put) error {
	p, info, err := find(f)
	if err != nil {
		return err
	}
	if put == nil {
		return fmt.Errorf("%s is a file of %s, which TaskManagers can't reach: use an hdfs: URI, or give it to the client with -D%s",
			p, hostname(), conf.PipelineCachedFiles.Key())
	}
	upload := p
	if f.Directory = info.IsDir(); f.Directory {
		if upload, err = pack(ctx, p); err != nil {
			return fmt.Errorf("pack %s: %w", p, err)
		}
		defer os.Remove(upload)
	} else {
		f.Executable = f.GetExecutable() || info.Mode().Perm()&0o100 != 0
	}
	a, err := put(ctx, upload)
	if errors.Is(err, artifact.ErrChanged) && upload == p {
		return fmt.Errorf("%s: %w: submit again when it is complete", p, artifact.ErrChanged)
	}
	if err != nil {
		return err
	}
	f.Uri, f.Sha256, f.Size = a.URI, a.SHA256[:], a.Size
	return nil
}

// mustHex reads digits that were checked.
func mustHex(digits string) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return b
}
